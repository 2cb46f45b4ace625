"""Deleting what has been kept long enough."""

from __future__ import annotations

import threading
from collections.abc import Callable

_LATE = 30  # seconds that a file may outlive its time, at most


class Sweeper:
    """Does so again and again, also when nobody asks for anything any more.

    Args:
        kept: seconds that files are kept.
        remove: each deletes what is older than that.
    """

    def __init__(self, kept: float, *remove: Callable[[float], None]) -> None:
        self._kept, self._remove = kept, remove
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="old-files", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(min(max(self._kept, 1), _LATE)):
            for remove in self._remove:
                remove(self._kept)
