"""A network looked at on some target frames without labels, to be scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.datasets import SegmentationDataset
from cfcontra.models import ModelOutput, SegmentationModel
from cfcontra.preprocessing import Preprocessing

from . import label_free
from .data import usable_pixels
from .methods.base import Normalize, resize_mask
from .plain_frames import plain_frames
from .strong_light import relight

ScoreName = Literal[
    "certainty",
    "mutual-information",
    "density",
    "transfer",
    "consistency",
    "mixing",
    "averaging",
]
SCORES: tuple[ScoreName, ...] = get_args(ScoreName)

_BATCH = 8
_PIXELS_PER_FRAME = 64
_MIXING_SHARE = 0.55  # of the frame whose labels count, as in MixVal


class TargetProbe:
    """Some target frames, spread evenly over the data, and the scores of networks on them.

    Every network is asked the same: frames, sampled pixels, light and mixing partners are
    drawn once.

    Args:
        dataset: the target; its labels, if it has any, are not looked at.
        preprocessing: how frames become the network's input.
        frames: how many frames to take.
        normalize: from values 0–1 to what the network takes.
        device: where networks are asked.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        preprocessing: Preprocessing,
        frames: int,
        normalize: Normalize,
        device: torch.device,
    ) -> None:
        self._normalize, self._device = normalize, device
        self._images, ids = plain_frames(dataset, preprocessing, frames, usable_pixels)
        self._valid = ids == 0

    @torch.no_grad()
    def scores(
        self,
        network: SegmentationModel,
        names: Collection[ScoreName],
        other: SegmentationModel | None = None,
    ) -> dict[str, float]:
        """Score a network in evaluation mode.

        `certainty`, `mutual-information`, `density` and `transfer` look at a sample of its
        predictions (`label_free` says how). The others are the mean IoU of two predictions
        for the same pixels, so that rare classes count as much as in the figure they stand
        for: `consistency` under mirroring and other light; `mixing` between a frame and its
        mixture with another (MixVal, Hu et al. 2023); `averaging` between the network and
        `other`, which is the run's teacher or student.

        Args:
            network: at the device that the probe was made for.
            names: the scores to compute.
            other: for `averaging`, which is left out without it.
        """
        outputs = self._ask(network, lambda images: images)
        classes = self._classes(outputs)
        scores = self._sampled(network, outputs, names)
        if "consistency" in names:
            changed = self._classes(self._ask(network, _mirrored_and_relit), mirrored=True)
            scores["consistency"] = self._agreement(classes, changed, network)
        if "mixing" in names:
            mixed = self._classes(self._ask(network, self._mixed))
            scores["mixing"] = self._agreement(classes, mixed, network)
        if "averaging" in names and other is not None:
            others = self._classes(self._ask(other, lambda images: images))
            scores["averaging"] = self._agreement(classes, others, network)
        return scores

    def _ask(
        self, network: SegmentationModel, change: Callable[[Tensor], Tensor]
    ) -> list[ModelOutput]:
        frames = change(self._images.to(self._device).float() / 255.0)
        return [
            network.forward_features(self._normalize(part)) for part in torch.split(frames, _BATCH)
        ]

    def _mixed(self, frames: Tensor) -> Tensor:
        return _MIXING_SHARE * frames + (1 - _MIXING_SHARE) * frames.roll(1, dims=0)

    def _classes(self, outputs: list[ModelOutput], mirrored: bool = False) -> Tensor:
        classes = torch.cat([output.logits.argmax(dim=1) for output in outputs])
        return classes.flip(-1) if mirrored else classes

    def _agreement(self, one: Tensor, two: Tensor, network: SegmentationModel) -> float:
        valid = resize_mask(self._valid.to(one.device), one[:, None])
        return label_free.class_agreement(one[valid], two[valid], network.out_classes)

    def _sampled(
        self, network: SegmentationModel, outputs: list[ModelOutput], names: Collection[ScoreName]
    ) -> dict[str, float]:
        generator = torch.Generator().manual_seed(0)
        logits = self._sample([output.logits for output in outputs], generator)
        probabilities = logits.float().softmax(dim=1)
        scores = {}
        if "certainty" in names:
            scores["certainty"] = label_free.certainty(probabilities)
        if "mutual-information" in names:
            scores["mutual-information"] = label_free.mutual_information(probabilities)
        if "density" in names:
            density = label_free.neighbourhood_density(probabilities)
            scores["density"] = density / math.log(len(probabilities))
        if "transfer" in names:
            generator.manual_seed(0)
            features = self._sample([output.features for output in outputs], generator).float()
            scores["transfer"] = (
                label_free.clustering_tendency(features, generator)
                + label_free.mutual_information(probabilities)
                - label_free.unevenness(_class_vectors(network))
            )
        return scores

    def _sample(self, maps: list[Tensor], generator: torch.Generator) -> Tensor:
        """Rows `[P, D]` of up to `_PIXELS_PER_FRAME` random usable pixels of each frame."""
        rows = []
        valid = resize_mask(self._valid, maps[0])
        for frame, usable in zip((m for part in maps for m in part), valid, strict=True):
            places = usable.flatten().nonzero()[:, 0]
            chosen = places[torch.randperm(len(places), generator=generator)[:_PIXELS_PER_FRAME]]
            rows.append(frame.flatten(1).t()[chosen.to(frame.device)])
        return torch.cat(rows)


def _mirrored_and_relit(frames: Tensor) -> Tensor:
    return relight(frames.flip(-1), 0.25, 0.5, torch.Generator().manual_seed(0))


def _class_vectors(network: SegmentationModel) -> Tensor:
    """Weights `[C, D]` of the layers that give one channel a class; of the main logits alone."""
    layers = [
        module
        for module in network.head.modules()
        if isinstance(module, nn.Conv2d)
        and module.out_channels == network.out_classes
        and module.in_channels == network.feature_channels
    ]
    return F.normalize(torch.cat([layer.weight.flatten(1) for layer in layers], dim=1), dim=1)
