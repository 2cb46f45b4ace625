"""Batch-norm statistics of the frames that a network is meant for (AdaBN, Li et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cfcontra.datasets import SegmentationDataset
from cfcontra.models import SegmentationModel
from cfcontra.preprocessing import Preprocessing

from .data import usable_pixels
from .methods.base import Normalize
from .plain_frames import plain_frames

_BATCH = 8
_BATCHES = 16


def live_norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisation that follows the data in training; the network stays as it is."""
    was_training = network.training
    network.train()
    found = [part for part in network.modules() if isinstance(part, _BatchNorm) and part.training]
    network.train(was_training)
    return found


def mixed_batches(
    source: SegmentationDataset,
    target: SegmentationDataset,
    preprocessing: Preprocessing,
    target_share: float,
) -> list[Tensor]:
    """Batches of plain frames, uint8 `[8, 3, h, w]`, each from all over both data sets.

    Args:
        target_share: share of target frames in each.
    """
    of_target = round(_BATCH * target_share)
    parts = []
    for dataset, count in ((source, _BATCH - of_target), (target, of_target)):
        if count:
            images, _ = plain_frames(dataset, preprocessing, _BATCHES * count, usable_pixels)
            parts.append(images[_spread(len(images), count)])
    return list(torch.cat(parts, dim=1))


def _spread(frames: int, count: int) -> Tensor:
    """Frames of each batch, long `[_BATCHES, count]`: each is from all over the data.

    Neighbours of a drive or a folder are alike, and a batch of them has too small a variance.
    """
    shifts = torch.arange(_BATCHES)[:, None] / _BATCHES
    return ((torch.arange(count) + shifts) * frames / count).long()


@torch.no_grad()
def estimate_statistics(
    network: SegmentationModel, batches: list[Tensor], normalize: Normalize
) -> None:
    """Replace the running statistics by the mean of those of some batches.

    Augmented, mixed and masked frames leave their mark in the statistics that a network
    gathers in training; in use it sees plain frames. Everything but batch normalisation is
    left in evaluation mode.

    Args:
        network: changed in place; ends in evaluation mode.
        batches: uint8 `[N, 3, h, w]` each, with two frames or more.
        normalize: from values 0–1 to what the network takes.
    """
    norms = live_norms(network)
    device = next(network.parameters()).device
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
        norm.train()
    for batch in batches:
        network(normalize(batch.to(device).float() / 255.0))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
