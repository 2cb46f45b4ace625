"""Batches of both domains, each a pure function of (seed, step, process)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from cfcontra.datasets import Sample as Frame
from cfcontra.datasets import SegmentationDataset
from cfcontra.datasets.cache import CachedDataset
from cfcontra.device import available_cores
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.opencv import cv2
from cfcontra.preprocessing import Preprocessing

from .augmentation import augment
from .class_statistics import RareClassSampler
from .settings import DataSettings, LightSettings

_SOURCE, _TARGET = 0, 1
_ROOM = 1 << 30  # bytes for a domain's frames, in all loader processes together


@dataclass(frozen=True)
class DomainBatch:
    """Frames of one domain.

    Attributes:
        images: uint8 `[N, 3, h, w]`, not normalised.
        labels: uint8 `[N, h, w]`. Source: train ids. Target: 0 where a pixel may be
            learned from; never its true class. 255 is ignored in both.
        origins: where each frame comes from.
    """

    images: Tensor
    labels: Tensor
    origins: list[str]


@dataclass(frozen=True)
class PairedBatch:
    """One step's frames: the labelled source and, when adapting, the target.

    Attributes:
        number: of the batch, counted from the start of the run.
    """

    number: int
    source: DomainBatch
    target: DomainBatch | None

    def ends_step(self, accumulate: int) -> bool:
        """Whether it is the last of the `accumulate` batches of an optimiser step."""
        return (self.number + 1) % accumulate == 0


class PairedDomains(Dataset[PairedBatch]):
    """Step number → batch. The same step gives the same batch in any process.

    Each domain is walked through in a fresh random order per pass, so that every
    frame is used equally often.

    Args:
        source: labelled frames; what learns nothing of classes does without the labels.
        target: frames without labels, or None.
        seed: of the run.
        rare_classes: chooses the source's frames, or None for walks through all of them.
    """

    def __init__(
        self,
        source: SegmentationDataset,
        target: SegmentationDataset | None,
        settings: DataSettings,
        light: LightSettings,
        preprocessing: Preprocessing,
        seed: int,
        rare_classes: RareClassSampler | None = None,
    ) -> None:
        self.source, self.target = source, target
        self._settings, self._light, self._preprocessing = settings, light, preprocessing
        self._seed, self._rank, self._world_size = seed, 0, 1
        self._rare_classes = rare_classes

    def for_process(self, rank: int, world_size: int) -> PairedDomains:
        """The share of one process among those that make a step together."""
        share = copy.copy(self)
        share._rank, share._world_size = rank, world_size
        return share

    def __getitem__(self, step: int) -> PairedBatch:
        target = None if self.target is None else self._batch(self.target, _TARGET, step)
        return PairedBatch(step, self._batch(self.source, _SOURCE, step), target)

    def _batch(self, dataset: SegmentationDataset, domain: int, step: int) -> DomainBatch:
        images, labels, origins = [], [], []
        for slot in range(self._settings.batch_size):
            position = (step * self._world_size + self._rank) * self._settings.batch_size + slot
            sample = dataset[self._index(len(dataset), domain, position)]
            rng = np.random.default_rng([self._seed, domain, 1, position])
            image, label = augment(
                sample.image,
                _label(sample, domain),
                self._settings,
                self._light,
                self._preprocessing,
                rng,
            )
            images.append(image)
            labels.append(label)
            origins.append(sample.origin)
        return DomainBatch(torch.stack(images), torch.stack(labels), origins)

    def _index(self, length: int, domain: int, position: int) -> int:
        if domain == _SOURCE and self._rare_classes is not None:
            return self._rare_classes.draw(np.random.default_rng([self._seed, domain, 2, position]))
        walk, place = divmod(position, length)
        order = np.random.default_rng([self._seed, domain, 0, walk]).permutation(length)
        return int(order[place])


def _label(sample: Frame, domain: int) -> NDArray[np.uint8]:
    if domain == _SOURCE and sample.label is not None:
        return sample.label
    return usable_pixels(sample)


def labels_of(sample: Frame) -> NDArray[np.uint8]:
    """A source frame's train ids."""
    assert sample.label is not None, "a source data set is opened with labels"
    return sample.label


def usable_pixels(sample: Frame) -> NDArray[np.uint8]:
    """0 where a frame's pixels may be learned from, 255 elsewhere; never its label."""
    usable = np.zeros(sample.image.shape[:2], dtype=np.uint8)
    if sample.ignore is not None:
        usable[sample.ignore] = IGNORE_INDEX
    return usable


class PairedLoading(LightningDataModule):
    """Loads the batches `first` to `last`, the last not included, for the process it is in.

    The loader's length is `last`: it is one pass that may begin in the middle.
    """

    def __init__(self, domains: PairedDomains, first: int, last: int, workers: int) -> None:
        super().__init__()
        self._domains, self._numbers, self._workers = domains, _Numbers(first, last), workers

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        self._domains = self._domains.for_process(self.trainer.global_rank, self.trainer.world_size)

    def first_batches(self, count: int) -> Iterator[PairedBatch]:
        """The first batches of the process it is in, whatever the loader begins with."""
        return (self._domains[number] for number in range(count))

    def train_dataloader(self) -> DataLoader[PairedBatch]:
        return DataLoader(
            self._domains,
            batch_size=None,
            sampler=self._numbers,
            num_workers=self._workers,
            worker_init_fn=_single_thread,
            pin_memory=False,
        )


class _Numbers(Sampler[int]):
    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._first, self._last))

    def __len__(self) -> int:
        return self._last


def loader_workers(workers: int | None, device: torch.device) -> int:
    """The number of loader processes that the recipe's `workers` means on a device."""
    if workers is not None:
        return workers
    return 0 if device.type == "cpu" else min(8, available_cores())


def kept_in_memory(dataset: SegmentationDataset, processes: int) -> CachedDataset:
    """A data set whose frames are read once while they fit.

    Args:
        processes: that load from it; each keeps its own frames, so they share the room out.
    """
    return CachedDataset(dataset, _ROOM // processes)


def _single_thread(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
