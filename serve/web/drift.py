"""Whether a model still sees what it was made for: its scores now against those at first."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field

import numpy as np

from cfcontra.runtime import FRAME_SCORES, Prediction
from cfcontra.runtime.mean_confidence import mean_confidence

REFERENCE_FRAMES = 200
"""Frames after which a score has a reference: their mean."""
_MEMORY = 200  # frames after which an earlier one counts for 1/e
_LEAST_SPREAD = 0.01  # a reference of like frames must not make a drift of every other frame


@dataclass
class Score:
    """One score over a server's life.

    Attributes:
        mean: over the last frames, weighted exponentially; NaN before the first.
        reference: mean over the first frames; NaN until there are enough.
        spread: standard deviation of the first frames.
    """

    mean: float = math.nan
    reference: float = math.nan
    spread: float = math.nan
    _first: list[float] = field(default_factory=list, repr=False)

    @property
    def drift(self) -> float:
        """How many standard deviations the mean has moved from the reference."""
        return (self.mean - self.reference) / max(self.spread, _LEAST_SPREAD)

    def add(self, value: float) -> None:
        """Count one frame."""
        if len(self._first) < REFERENCE_FRAMES:
            self._first.append(value)
            self.mean = float(np.mean(self._first))
            if len(self._first) == REFERENCE_FRAMES:
                self.reference, self.spread = self.mean, float(np.std(self._first))
            return
        self.mean += (value - self.mean) / _MEMORY


class Drift:
    """Follows a model's scores: mean confidence, and entropy and distance where it gives them."""

    def __init__(self) -> None:
        self._scores: dict[str, Score] = {}
        self._lock = threading.Lock()

    def add(self, prediction: Prediction) -> None:
        """Count the frames of a prediction."""
        rows = frame_scores(prediction)
        with self._lock:
            for name, values in rows.items():
                score = self._scores.setdefault(name, Score())
                for value in values:
                    score.add(value)

    def scores(self) -> dict[str, Score]:
        """By name."""
        with self._lock:
            return dict(self._scores)


def frame_scores(prediction: Prediction) -> dict[str, list[float]]:
    """Scores of each frame by name; confidence is always among them."""
    if prediction.frame_scores is not None:
        columns = prediction.frame_scores.T.astype(float).tolist()
        return dict(zip(FRAME_SCORES, columns, strict=True))
    return {"confidence": [mean_confidence(frame) for frame in prediction.confidence]}
