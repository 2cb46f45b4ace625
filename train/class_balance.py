"""Class weights from how often classes occur in the source's labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from cfcontra.datasets import SegmentationDataset

_MOST_FRAMES = 200


def class_weights(source: SegmentationDataset, exponent: float) -> Tensor:
    """Weights `[C]` proportional to frequency^-exponent, with mean 1 over labelled pixels.

    Frequencies come from up to 200 frames spread over the source; a class that none of
    them shows has weight 1.
    """
    num_classes = source.label_space.num_classes
    counts = np.zeros(num_classes, dtype=np.float64)
    chosen = np.linspace(0, len(source) - 1, min(len(source), _MOST_FRAMES)).round().astype(int)
    for index in chosen:
        label = source[int(index)].label
        assert label is not None
        counts += np.bincount(label.ravel(), minlength=256)[:num_classes]
    present = counts > 0
    frequency = counts / max(counts.sum(), 1)
    weights = np.ones(num_classes)
    weights[present] = frequency[present] ** -exponent
    weights[present] /= (weights * frequency)[present].sum()
    return torch.from_numpy(weights).float()
