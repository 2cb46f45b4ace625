"""Choosing as many pixels of each class, so that frequent classes do not drown the rare."""

from __future__ import annotations

import torch
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX


def sample_per_class(labels: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Rows of up to `most` random pixels of each class; ignored pixels are left out.

    Args:
        labels: long `[P]`, 255 ignored.
        generator: the source of randomness, on the CPU.

    Returns:
        Row numbers, long.
    """
    order = torch.randperm(len(labels), generator=generator).to(labels.device)
    shuffled = labels[order]
    by_class = shuffled.argsort(stable=True)
    ordered = shuffled[by_class]
    counts = torch.bincount(ordered, minlength=IGNORE_INDEX + 1)
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(labels), device=labels.device) - starts[ordered]
    return order[by_class[(place < most) & (ordered != IGNORE_INDEX)]]
