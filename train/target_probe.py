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
        sample = _PixelSample(self._valid, features="transfer" in names)
        classes = self._classes(network, sample=sample)
        scores = _sampled(network, sample, names)
        if "consistency" in names:
            changed = self._classes(network, _mirrored_and_relit).flip(-1)
            scores["consistency"] = self._agreement(classes, changed, network)
        if "mixing" in names:
            mixed = self._classes(network, _mixed)
            scores["mixing"] = self._agreement(classes, mixed, network)
        if "averaging" in names and other is not None:
            others = self._classes(other)
            scores["averaging"] = self._agreement(classes, others, network)
        return scores

    def _classes(
        self,
        network: SegmentationModel,
        change: Callable[[Tensor], Tensor] = lambda frames: frames,
        sample: _PixelSample | None = None,
    ) -> Tensor:
        """Predicted classes `[F, h, w]`; the rest of a batch's output goes before the next."""
        frames = change(self._images.to(self._device).float() / 255.0)
        classes = []
        for part in torch.split(frames, _BATCH):
            output = network.forward_features(self._normalize(part))
            classes.append(output.logits.argmax(dim=1))
            if sample is not None:
                sample.add(output)
            del output  # its maps, of a deep encoder's many channels, are most of the memory
        return torch.cat(classes)

    def _agreement(self, one: Tensor, two: Tensor, network: SegmentationModel) -> float:
        valid = resize_mask(self._valid.to(one.device), one[:, None])
        return label_free.class_agreement(one[valid], two[valid], network.out_classes)


class _PixelSample:
    """Logits and features of up to `_PIXELS_PER_FRAME` random usable pixels of each frame.

    Args:
        valid: bool `[F, H, W]`, the frames in the order in which their outputs come.
        features: whether features are wanted.

    Attributes:
        generator: has drawn the pixels of the features, and draws what comes next.
    """

    def __init__(self, valid: Tensor, features: bool) -> None:
        self._valid, self._features = valid, features
        self._number = 0
        self._draws, self.generator = (torch.Generator().manual_seed(0) for _ in range(2))
        self._rows: tuple[list[Tensor], list[Tensor]] = [], []

    def add(self, output: ModelOutput) -> None:
        """Take the pixels of the frames that come next."""
        valid = self._valid[self._number : self._number + len(output.logits)]
        self._number += len(valid)
        logits, features = self._rows
        logits += _rows(output.logits, valid, self._draws)
        if self._features:
            features += _rows(output.features, valid, self.generator)

    @property
    def logits(self) -> Tensor:
        """Rows `[P, C]`."""
        return torch.cat(self._rows[0]).float()

    @property
    def features(self) -> Tensor:
        """Rows `[P, D]`, of the same pixels where both maps are of one size."""
        return torch.cat(self._rows[1]).float()


def _rows(maps: Tensor, valid: Tensor, generator: torch.Generator) -> list[Tensor]:
    rows = []
    for frame, usable in zip(maps, resize_mask(valid, maps), strict=True):
        places = usable.flatten().nonzero()[:, 0]
        chosen = places[torch.randperm(len(places), generator=generator)[:_PIXELS_PER_FRAME]]
        rows.append(frame.flatten(1).t()[chosen.to(frame.device)])
    return rows


def _sampled(
    network: SegmentationModel, sample: _PixelSample, names: Collection[ScoreName]
) -> dict[str, float]:
    probabilities = sample.logits.softmax(dim=1)
    scores = {}
    if "certainty" in names:
        scores["certainty"] = label_free.certainty(probabilities)
    if "mutual-information" in names:
        scores["mutual-information"] = label_free.mutual_information(probabilities)
    if "density" in names:
        density = label_free.neighbourhood_density(probabilities)
        scores["density"] = density / math.log(len(probabilities))
    if "transfer" in names:
        scores["transfer"] = (
            label_free.clustering_tendency(sample.features, sample.generator)
            + label_free.mutual_information(probabilities)
            - label_free.unevenness(_class_vectors(network))
        )
    return scores


def _mixed(frames: Tensor) -> Tensor:
    return _MIXING_SHARE * frames + (1 - _MIXING_SHARE) * frames.roll(1, dims=0)


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
