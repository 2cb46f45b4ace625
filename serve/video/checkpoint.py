"""Places in a video up to which everything is written for good."""

from __future__ import annotations

import threading
import time
from typing import Any

from .memory import Memory
from .sink import Segmented
from .source import Mark
from .work import WorkFolder

FRAMES = 250
"""Between two places: as many as encoders put between key frames anyway."""
SECONDS = 10.0
"""At least between two places, so that a fast run does not start encoders all the time."""


class Checkpoint:
    """One place. Travels through every sink's queue; when all have met it, it is recorded.

    Args:
        mark: the place.
        sinks: how many sinks there are.
        work: whose journal it is recorded in.
        memory: what masks behind it depend on.
    """

    def __init__(self, mark: Mark, sinks: int, work: WorkFolder, memory: Memory) -> None:
        self.mark, self._memory = mark, memory
        self._missing, self._work = sinks, work
        self._states: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def reached(self, sink: str, state: dict[str, Any]) -> None:
        """A sink has everything before the place on the disk.

        Args:
            sink: its name.
            state: what it needs to go on from there.

        Raises:
            InputError: the last sink came, and the journal cannot be written.
        """
        with self._lock:
            self._states[sink] = state
            if len(self._states) == self._missing:
                self.record()

    def record(self) -> None:
        """Write it into the journal: nobody is missing."""
        self._work.record(self.mark, self._states, self._memory)


class Checkpoints:
    """Decides after which frames there is one.

    Args:
        work: folder of the unfinished results.
        sinks: how many sinks there are.
    """

    def __init__(self, work: WorkFolder, sinks: int) -> None:
        self._work, self._sinks = work, sinks
        self._last = time.monotonic()

    def due(self, frames: int) -> bool:
        """Whether it is time for one behind so many frames."""
        if frames % FRAMES or time.monotonic() - self._last < SECONDS:
            return False
        self._last = time.monotonic()
        return True

    def at(self, result: Segmented, frames: int, damaged: int, memory: Memory) -> Checkpoint:
        """The checkpoint behind a result.

        Args:
            result: the last frame before it.
            frames: frames before it.
            damaged: packets that were skipped before it.
            memory: what masks behind it depend on.
        """
        frame = result.frame
        assert frame.image.pts is not None
        mark = Mark(frames, frame.image.pts, frame.origin, damaged)
        return Checkpoint(mark, self._sinks, self._work, memory)
