"""The memory bank: one prototype per class, whatever the number or size of pictures."""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


class PrototypeBank(nn.Module):
    """One L2-normalised prototype per class, following class means by momentum.

    Prototypes are buffers: they take no gradient, travel in checkpoints, and change only
    in `update`, never inside a backward pass.

    Args:
        num_classes: rows `C`.
        dimension: columns `D`.
        momentum: share of the old prototype kept at an update.
        full_count: pixels of a class from which on a batch moves its prototype by the whole
            of `1 − momentum`; fewer move it in proportion. 0 takes every batch as full.
    """

    prototypes: Tensor
    seen: Tensor

    def __init__(
        self, num_classes: int, dimension: int, momentum: float, full_count: int = 0
    ) -> None:
        super().__init__()
        self.momentum, self.full_count = momentum, full_count
        self.register_buffer("prototypes", torch.zeros(num_classes, dimension))
        self.register_buffer("seen", torch.zeros(num_classes, dtype=torch.bool))

    @torch.no_grad()
    def update(self, sums: Tensor, counts: Tensor) -> None:
        """Move towards the class means of one batch, the whole batch over all processes.

        A class without a pixel keeps its prototype; one seen for the first time takes
        the mean as it is.

        Args:
            sums: per-class feature sums `[C, D]`.
            counts: per-class pixel counts `[C]`.
        """
        sums, counts = _all_reduce(sums, counts)
        present = counts > 0
        means = F.normalize(sums / counts.clamp(min=1).unsqueeze(1), dim=1)
        moves = (1 - self.momentum) * (counts / max(self.full_count, 1)).clamp(max=1.0)
        kept = torch.where(self.seen & present, 1 - moves, 0.0).unsqueeze(1)
        moved = F.normalize(kept * self.prototypes + (1 - kept) * means, dim=1)
        self.prototypes.copy_(torch.where(present.unsqueeze(1), moved, self.prototypes))
        self.seen.logical_or_(present)

    def extra_repr(self) -> str:
        return f"{tuple(self.prototypes.shape)}, momentum={self.momentum}"


@torch.no_grad()
def class_sums(features: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Per-class sums `[C, D]` and counts `[C]` of pixel features.

    Args:
        features: `[P, D]`.
        labels: long `[P]`, 255 ignored.
    """
    classes = torch.arange(num_classes, device=labels.device)
    members = (labels == classes[:, None]).float()
    # A product reads the features once, in any layout; it must not become a 16-bit one.
    with torch.autocast(features.device.type, enabled=False):
        sums = members @ features.detach().float()
    return sums, members.sum(dim=1)


def _all_reduce(sums: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    if not (dist.is_available() and dist.is_initialized()):
        return sums, counts
    packed = torch.cat([sums, counts.unsqueeze(1)], dim=1)
    dist.all_reduce(packed)
    return packed[:, :-1], packed[:, -1]
