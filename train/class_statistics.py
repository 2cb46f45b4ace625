"""How often each class occurs in the source's labels, and where."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.datasets import SegmentationDataset

_LOG = logging.getLogger(__name__)
_SEARCHED = 500


@dataclass(frozen=True)
class ClassStatistics:
    """Pixels per class in some frames of a data set.

    Attributes:
        frames: indices of the frames `[F]`.
        counts: pixels of each class in each `[F, C]`.
    """

    frames: NDArray[np.int64]
    counts: NDArray[np.int64]

    def frequency(self) -> NDArray[np.float64]:
        """Share of each class in all labelled pixels `[C]`."""
        totals = self.counts.sum(axis=0)
        frequency: NDArray[np.float64] = totals / max(int(totals.sum()), 1)
        return frequency


def count_classes(source: SegmentationDataset, most: int) -> ClassStatistics:
    """Count over up to `most` frames, spread evenly.

    Classes that none shows are looked for in up to `_SEARCHED` more, and named if not found.
    """
    frames = _spread(np.arange(len(source)), most)
    counts = np.stack([_count(source, int(index)) for index in frames])
    missing, looked_at = counts.sum(axis=0) == 0, len(frames)
    for index in _spread(np.setdiff1d(np.arange(len(source)), frames), _SEARCHED):
        if not missing.any():
            break
        missing &= _count(source, int(index)) == 0
        looked_at += 1
    if missing.any():
        names = ", ".join(source.label_space.classes[i] for i in np.flatnonzero(missing))
        seen = f"{looked_at} sampled of" if looked_at < len(source) else "any of"
        _LOG.warning("no pixel of %s in %s the source's %d frames", names, seen, len(source))
    return ClassStatistics(frames, counts)


def _spread(indices: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    places = np.linspace(0, len(indices) - 1, min(len(indices), most)).round().astype(np.int64)
    return indices[places]


def _count(source: SegmentationDataset, index: int) -> NDArray[np.int64]:
    label = source[index].label
    assert label is not None, "a source data set is opened with labels"
    return np.bincount(label.ravel(), minlength=256)[: source.label_space.num_classes]


def class_weights(statistics: ClassStatistics, exponent: float) -> Tensor:
    """Weights `[C]` proportional to frequency^-exponent, with mean 1 over labelled pixels.

    A class that no frame shows has weight 1.
    """
    frequency = statistics.frequency()
    present = frequency > 0
    weights = np.ones(len(frequency))
    weights[present] = frequency[present] ** -exponent
    weights[present] /= (weights * frequency)[present].sum()
    return torch.from_numpy(weights).float()


class RareClassSampler:
    """Draws a class, the rarer the likelier, then a frame that shows it (DAFormer, Hoyer 2022).

    Args:
        statistics: of the source.
        temperature: T of `P(c) ∝ exp((1 − f_c)/T)` (eq. 4); the lower, the rarer.
    """

    # Fewer pixels of a class do not make a frame worth choosing for it.
    _LEAST_SHARE = 0.001

    def __init__(self, statistics: ClassStatistics, temperature: float) -> None:
        frequency = statistics.frequency()
        logits = np.where(frequency > 0, (1 - frequency) / temperature, -np.inf)
        chances = np.exp(logits - logits.max())
        self.chances: NDArray[np.float64] = chances / chances.sum()
        shares = statistics.counts / statistics.counts.sum(axis=1, keepdims=True).clip(min=1)
        self._frames = [
            statistics.frames[_worth_choosing(shares[:, index], self._LEAST_SHARE)]
            for index in range(len(frequency))
        ]

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a frame."""
        frames = self._frames[int(rng.choice(len(self.chances), p=self.chances))]
        return int(frames[rng.integers(len(frames))])


def _worth_choosing(shares: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
    enough: NDArray[np.bool_] = shares >= least
    return enough if enough.any() else shares > 0
