"""Whether a model is as often right as it says: calibration of its confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import IGNORE_INDEX

BINS = 15
_LEVELS = 256


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy in bins of equal width (Guo et al. 2017, eq. 2–5).

    Attributes:
        ece: expected calibration error 0–1: the gap between the two, averaged over pixels;
            NaN without a labelled pixel.
        confidence: mean confidence in each bin `[B]`, NaN in an empty one.
        accuracy: share of pixels in each bin that are right `[B]`, NaN in an empty one.
        share: share of all pixels in each bin `[B]`.
    """

    ece: float
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    share: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None."""

        def plain(value: float) -> float | None:
            return None if np.isnan(value) else round(float(value), 6)

        return {
            "ece": plain(self.ece),
            "confidence": [plain(value) for value in self.confidence],
            "accuracy": [plain(value) for value in self.accuracy],
            "share": [plain(value) for value in self.share],
        }


class CalibrationScore:
    """Accumulates confidences; ignored pixels count nowhere."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, _LEVELS), dtype=np.int64)  # wrong, right

    def update(
        self,
        mask: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        label: NDArray[np.uint8],
    ) -> None:
        """Count one frame: `[H, W]` each, 255 of confidence being 1."""
        counted = label != IGNORE_INDEX
        right = (mask == label)[counted]
        levels = confidence[counted]
        for row, of_row in enumerate((levels[~right], levels[right])):
            self._counts[row] += np.bincount(of_row, minlength=_LEVELS)

    def compute(self) -> Calibration:
        """The calibration of everything counted so far."""
        levels = np.arange(_LEVELS)
        # Bins (0, 1/B], (1/B, 2/B], … in integers; zero goes to the first.
        bins = (-(-levels * BINS // (_LEVELS - 1))).clip(1) - 1
        counts = self._counts.sum(0)
        pixels, right, summed = (
            np.bincount(bins, weights=weights, minlength=BINS)
            for weights in (counts, self._counts[1], counts * levels / (_LEVELS - 1))
        )
        total = pixels.sum()
        nothing = np.full(BINS, np.nan)
        return Calibration(
            ece=float(np.abs(right - summed).sum() / total) if total else float("nan"),
            confidence=np.divide(summed, pixels, out=nothing.copy(), where=pixels > 0),
            accuracy=np.divide(right, pixels, out=nothing.copy(), where=pixels > 0),
            share=pixels / max(total, 1),
        )
