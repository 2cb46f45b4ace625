"""ClassMix: pasting the pixels of some classes of one frame on another."""

from __future__ import annotations

import torch
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX

Frames = tuple[Tensor, Tensor, Tensor]
"""Images `[N, 3, H, W]`, long labels `[N, H, W]` and pixel weights `[N, H, W]`."""


def choose_classes(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Where half of the classes that a label map shows lie, rounded up; bool `[H, W]`."""
    present: Tensor = torch.unique(labels)
    present = present[present != IGNORE_INDEX]
    order = torch.randperm(len(present), generator=generator)
    chosen = present[order[: (len(present) + 1) // 2].to(present.device)]
    return torch.isin(labels, chosen)


def mix(pasted: Tensor, over: Frames, under: Frames) -> Frames:
    """Frames `under` with those `over` where `pasted` (bool `[N, H, W]`) says so."""
    (image, label, weight), (other_image, other_label, other_weight) = over, under
    return (
        torch.where(pasted[:, None], image, other_image),
        torch.where(pasted, label, other_label),
        torch.where(pasted, weight, other_weight),
    )
