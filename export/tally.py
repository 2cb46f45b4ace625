"""Counting, frame by frame, where two predictions differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IDS = 256


@dataclass(frozen=True, order=True)
class FrameResult:
    """How far one frame agrees; the frame that agrees least sorts first.

    Attributes:
        agreement: share of equal mask pixels.
        confidence_agreement: 1 less the mean absolute confidence difference, 0–1.
        size, frame: size and name.
    """

    agreement: float
    confidence_agreement: float
    size: str
    frame: str


class Tally:
    """Differences between an expected and a found prediction, summed over frames.

    Args:
        size: what size the frames have, for reports.
        batch: how many of them are run at once, for reports.

    Attributes:
        pixels, equal: how many mask pixels there were, and how many were the same.
        class_total, class_equal: the same by expected train id, int64 `[C]`.
        worst: the frame that agrees least.
    """

    def __init__(self, size: str, batch: int, num_classes: int) -> None:
        self.size, self.batch, self.frames = size, batch, 0
        self.pixels = self.equal = 0
        self.class_total: NDArray[np.int64] = np.zeros(num_classes, dtype=np.int64)
        self.class_equal: NDArray[np.int64] = np.zeros(num_classes, dtype=np.int64)
        self.worst = FrameResult(2.0, 2.0, size, "")
        self._difference_sum = self._difference_max = 0
        self._scores_max: float | None = None
        self._probabilities: list[tuple[float, float]] = []

    def add(
        self,
        expected_mask: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        expected_confidence: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        origin: str,
    ) -> None:
        """Count one frame; all arrays are `[H, W]`."""
        same = expected_mask == mask
        difference = np.abs(expected_confidence.astype(np.int16) - confidence)
        classes = len(self.class_total)
        self.class_total += np.bincount(expected_mask.ravel(), minlength=_IDS)[:classes]
        self.class_equal += np.bincount(expected_mask[same], minlength=_IDS)[:classes]
        self.frames += 1
        self.pixels += same.size
        self.equal += int(same.sum())
        self._difference_sum += int(difference.sum())
        self._difference_max = max(self._difference_max, int(difference.max()))
        frame = FrameResult(
            agreement=float(same.mean()),
            confidence_agreement=1.0 - float(difference.mean()) / 255.0,
            size=self.size,
            frame=origin if origin.startswith("streets:") else Path(origin).name,
        )
        self.worst = min(self.worst, frame)

    def add_scores(self, expected: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        """Count one frame's scores; both arrays are `[3]`."""
        difference = float(np.abs(expected - found).max())
        self._scores_max = float(np.maximum(self._scores_max or 0.0, difference))  # keeps NaN

    def add_probabilities(self, expected: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        """Count one frame's probabilities; both arrays are `[C, H, W]`."""
        difference = np.abs(expected - found)
        self._probabilities.append((float(difference.mean()), float(difference.max())))

    def result(self) -> dict[str, Any]:
        """Sums and shares of all frames."""
        return {
            "size": self.size,
            "batch": self.batch,
            "frames": self.frames,
            "pixels": self.pixels,
            "agreement": self.equal / self.pixels,
            "confidence_mean": self._difference_sum / self.pixels,
            "confidence_max": self._difference_max,
            "frame_scores_max": self._scores_max,
            "probabilities_mean": self._over_frames(0, np.mean),
            "probabilities_max": self._over_frames(1, np.max),
        }

    def _over_frames(self, column: int, join: Callable[[list[float]], Any]) -> float | None:
        found = [row[column] for row in self._probabilities]
        return float(join(found)) if found else None
