"""Class prototypes that a model file keeps: what each class looks like to its classifier."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.datasets import SegmentationDataset
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.models import SegmentationModel
from cfcontra.preprocessing import Preprocessing

from .data import labels_of, usable_pixels
from .methods.base import Normalize, resize_labels
from .plain_frames import plain_frames
from .prototype_bank import class_sums
from .pseudo_labels import labels_by_confidence

_FRAMES = 32
_BATCH = 4
_CONFIDENT = 0.9
_ENOUGH = 100  # pixels of a class, at the features' size


@dataclass(frozen=True)
class ClassPrototypes:
    """The L2-normalised mean of each class's L2-normalised features.

    Attributes:
        prototypes: float32 `[C, D]`; zeros for a class without a pixel.
        domains: which domain's pixels each class's was taken from, `target`, `source` or "none".
    """

    prototypes: Tensor
    domains: tuple[str, ...]

    def record(self, classes: tuple[str, ...]) -> dict[str, list[str]]:
        """For the training record: domain → classes whose prototypes come from it."""
        return {
            domain: [name for name, own in zip(classes, self.domains, strict=True) if own == domain]
            for domain in ("target", "source", "none")
            if domain in self.domains
        }


@torch.no_grad()
def class_prototypes(
    network: SegmentationModel,
    source: SegmentationDataset,
    target: SegmentationDataset | None,
    preprocessing: Preprocessing,
    normalize: Normalize,
) -> ClassPrototypes:
    """Take prototypes from plain frames of the domain that the network is for.

    With a target, a class's prototype is the mean over the target's pixels that the network
    gives to it with a confidence of 0.9 or more. Where they are fewer than 100, and without a
    target, it is the mean over the source's pixels with that label.

    Args:
        network: in evaluation mode.
        source: labelled frames.
        target: frames whose labels, if they have any, are not looked at.
        normalize: from values 0–1 to what the network takes.
    """
    sums, counts = _sums(network, source, preprocessing, normalize, labelled=True)
    of_target = torch.zeros_like(counts, dtype=torch.bool)
    if target is not None:
        target_sums, target_counts = _sums(network, target, preprocessing, normalize, False)
        of_target = target_counts >= _ENOUGH
        sums = torch.where(of_target[:, None], target_sums, sums)
        counts = torch.where(of_target, target_counts, counts)
    domains = tuple(
        "target" if theirs else "source" if count else "none"
        for theirs, count in zip(of_target.tolist(), counts.tolist(), strict=True)
    )
    return ClassPrototypes(F.normalize(sums, dim=1).cpu(), domains)


def _sums(
    network: SegmentationModel,
    dataset: SegmentationDataset,
    preprocessing: Preprocessing,
    normalize: Normalize,
    labelled: bool,
) -> tuple[Tensor, Tensor]:
    """Sums `[C, D]` of normalised features by class, and counts `[C]`."""
    device = next(network.parameters()).device
    frames = plain_frames(dataset, preprocessing, _FRAMES, labels_of if labelled else usable_pixels)
    sums = torch.zeros(network.out_classes, network.feature_channels, device=device)
    counts = torch.zeros(network.out_classes, device=device)
    for images, ids in zip(*(torch.split(part, _BATCH) for part in frames), strict=True):
        output = network.forward_features(normalize(images.to(device).float() / 255.0))
        labels = resize_labels(ids.to(device), output.features)
        if not labelled:
            sure = labels_by_confidence(output.logits, _CONFIDENT)
            labels = sure.where(labels != IGNORE_INDEX, IGNORE_INDEX)
        rows = F.normalize(output.features.float(), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        some_sums, some_counts = class_sums(rows, labels.flatten(), network.out_classes)
        sums += some_sums
        counts += some_counts
    return sums, counts
