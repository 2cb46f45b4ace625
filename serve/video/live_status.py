"""How a live source is doing: how far behind the pictures are, and what was passed over."""

from __future__ import annotations

import time

import numpy as np

from .live import LiveSource
from .sink import Segmented

_BINS = 10_000  # of a millisecond
_RECENT = 0.1  # share of the newest frame in the figure that is shown


class LiveStatus:
    """Watches the results of a live source.

    Args:
        source: whose reconnections are told.

    Attributes:
        frames: that went through the model.
        dropped: that a newer one took the place of.
    """

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self._counts = np.zeros(_BINS, np.int64)
        self._recent: float | None = None
        self.frames = self.dropped = 0

    def __call__(self, result: Segmented) -> None:
        """Take note of a frame that has its mask now."""
        behind = time.perf_counter() - result.frame.captured
        self.frames += 1
        self.dropped = result.frame.index + 1 - self.frames
        self._counts[min(_BINS - 1, int(1000 * behind))] += 1
        before = behind if self._recent is None else self._recent
        self._recent = before + _RECENT * (behind - before)

    def latency(self, share: float) -> int:
        """Milliseconds from a frame's arrival to its mask that `share` (0–1) of them kept to."""
        passed = np.searchsorted(np.cumsum(self._counts), share * self._counts.sum())
        return int(passed) + 1 if self.frames else 0

    def now(self) -> str:
        """A few words for the progress line."""
        behind = f"{1000 * self._recent:.0f} ms behind" if self._recent is not None else "waiting"
        return f"{behind}, {self._rest()}"

    def summary(self) -> str:
        """A few words for the end."""
        middle, late = self.latency(0.5), self.latency(0.95)
        return f"{middle} ms behind ({late} ms at most in 95 %), {self._rest()}"

    def figures(self) -> dict[str, int]:
        """The same as data, in milliseconds and frames."""
        return {
            "latency_ms": self.latency(0.5),
            "latency_95_ms": self.latency(0.95),
            "dropped": self.dropped,
            "reconnected": self._source.reconnected,
        }

    def _rest(self) -> str:
        count = self._source.reconnected
        times = "once" if count == 1 else f"{count} times"
        return f"{self.dropped} dropped" + (f", reconnected {times}" if count else "")
