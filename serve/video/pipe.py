"""A pipe to read video from that never leaves a thread hanging."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_POLL = 0.2  # seconds


class Pipe:
    """A pipe to read from whose reader can be woken.

    Args:
        descriptor: an open file descriptor.
        name: for messages.
    """

    def __init__(self, descriptor: int, name: str = "standard input") -> None:
        self._descriptor, self._name = descriptor, name
        self._interrupted = threading.Event()
        self._ctrl_c = False

    def __str__(self) -> str:
        return self._name

    def read(self, size: int) -> bytes:
        """Up to `size` bytes as soon as there are any; none at the end or after `interrupt`.

        Ctrl-C interrupts it: FFmpeg, which this is called by, lets no `KeyboardInterrupt` through.
        """
        try:
            return self._read(size)
        except KeyboardInterrupt:
            self._ctrl_c = True
            self.interrupt()
            return b""

    @contextmanager
    def opening(self) -> Iterator[None]:
        """A block in which the main thread reads.

        Raises:
            KeyboardInterrupt: Ctrl-C came while it did.
        """
        try:
            yield
        finally:
            if self._ctrl_c:  # what was read is not all, whatever it looks like
                raise KeyboardInterrupt

    def _read(self, size: int) -> bytes:
        while not self._interrupted.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], _POLL)
            if ready:
                return os.read(self._descriptor, size)
        return b""

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        parts = bytearray()
        while len(parts) < size:
            part = self.read(size - len(parts))
            if not part:
                break
            parts += part
        return bytes(parts)

    def interrupt(self) -> None:
        """Let a waiting `read` return as if the pipe had ended."""
        self._interrupted.set()
