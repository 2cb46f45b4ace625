"""A pipe to write to that never leaves the process hanging, whatever its reader does."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time

_LOG = logging.getLogger(__name__)
_POLL = 0.1  # seconds
_PATIENCE = 1.0  # seconds for a reader who takes nothing, once all is to end
_PIECE = 1 << 16  # bytes that even a slow reader takes in that time


class Outlet:
    """Writes in a thread of its own, which nobody has to wait for.

    A call that writes to a pipe, a socket or a terminal may take for ever and cannot be woken.

    Args:
        descriptor: an open file descriptor that blocks.
        name: for messages.

    Attributes:
        stuck: whether the reader was given up.
    """

    def __init__(self, descriptor: int, name: str = "standard output") -> None:
        # The thread's own: a number that others close may soon be that of another file.
        self._descriptor, self._name = os.dup(descriptor), name
        self._given: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._written: queue.SimpleQueue[OSError | None] = queue.SimpleQueue()
        self._interrupted = threading.Event()
        self._moved = 0.0
        self.stuck = False
        self._thread = threading.Thread(target=self._work, name=f"write {name}", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> bool:
        """Write all of it.

        Returns:
            whether the reader has taken it; False from the time on when it was given up.

        Raises:
            OSError: the reader has gone, or the disk is full.
        """
        if self.stuck:
            return False
        self._given.put(data)
        since = time.monotonic()
        while True:
            try:
                error = self._written.get(timeout=_POLL)
            except queue.Empty:
                now = time.monotonic()
                if not self._interrupted.is_set():
                    since = now
                elif now - max(since, self._moved) > _PATIENCE:
                    _LOG.warning("%s: nobody takes it; the rest is left out.", self._name)
                    self.stuck = True
                    return False
                continue
            if error is not None:
                raise error
            return True

    def interrupt(self) -> None:
        """Let a `write` whose reader takes nothing end soon, now and from now on."""
        self._interrupted.set()

    def close(self) -> None:
        """Let the thread end. The descriptor that was given stays open."""
        self._given.put(None)
        self._thread.join(_POLL)  # it may be stuck

    def _work(self) -> None:
        try:
            while (data := self._given.get()) is not None:
                try:
                    self._put(memoryview(data))
                except OSError as error:
                    self._written.put(error)
                else:
                    self._written.put(None)
        finally:
            os.close(self._descriptor)

    def _put(self, data: memoryview) -> None:
        while data:
            data = data[os.write(self._descriptor, data[:_PIECE]) :]
            self._moved = time.monotonic()
