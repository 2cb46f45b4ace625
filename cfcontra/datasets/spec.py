"""Data specs: one string that says where data is, such as `folder:drives/day`.

A spec is `KIND:PLACE` with optional `,name=value` settings behind it. `frames=A:B[:S]`
works for every kind and takes that slice of the frames in their order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from cfcontra.config import nearest_hint
from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError, LabelSpaceError
from cfcontra.label_space import LabelSpace

Opener = Callable[[Request], SegmentationDataset]

# Each is a module here, whose `open_spec` opens it.
KINDS = (
    "folder",
    "video",
    "streets",
    "cityscapes",
    "gta5",
    "synthia",
    "acdc",
    "bdd100k",
    "camvid",
    "mapillary",
)


def open_dataset(
    spec: str, label_space: LabelSpace | None = None, labelled: bool = True
) -> SegmentationDataset:
    """Open the dataset a spec names.

    Args:
        spec: e.g. `folder:PATH`, `video:GLOB`, `streets:dusk,split=val`.
        label_space: the space samples come in. A dataset with a space of its own is
            mapped to it by class name. None: the dataset's own space.
        labelled: whether labels are read; False never opens a label file.

    Raises:
        UnlabelledError: labels are wanted, and the data has none at all.
        LabelSpaceError: label spaces that do not fit.
        InputError: malformed spec, unknown kind or option, or unusable data.
    """
    kind, place, options = _parse(spec)
    frames = options.pop("frames", None)
    opener: Opener = import_module(f"cfcontra.datasets.{kind}").open_spec
    dataset = opener(Request(kind, place, options, label_space, labelled))
    if options:
        name = next(iter(options))
        raise InputError(f"{spec}: unknown option '{name}' for {kind} data.")
    if label_space is not None and dataset.label_space.classes != label_space.classes:
        try:
            dataset = MappedDataset(dataset, label_space)
        except LabelSpaceError as error:
            raise LabelSpaceError(f"{spec}: {error}") from error
    return dataset if frames is None else SlicedDataset(dataset, _slice(frames, spec), spec)


class SlicedDataset(SegmentationDataset):
    """A slice of another dataset's frames."""

    def __init__(self, dataset: SegmentationDataset, frames: slice, spec: str) -> None:
        self._dataset = dataset
        self._indices = range(len(dataset))[frames]
        if not self._indices:
            raise InputError(f"{spec}: that slice of {len(dataset)} frames is empty.")
        self.label_space = dataset.label_space
        self.labelled = dataset.labelled

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._dataset[self._indices[index]]


class MappedDataset(SegmentationDataset):
    """Another dataset with its labels mapped to a label space, by class name."""

    def __init__(self, dataset: SegmentationDataset, label_space: LabelSpace) -> None:
        self._dataset = dataset
        self._table = label_space.mapping_from(dataset.label_space)
        self.label_space = label_space
        self.labelled = dataset.labelled

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        sample = self._dataset[index]
        if sample.label is None:
            return sample
        label = np.asarray(self._table[sample.label], dtype=np.uint8)
        return replace(sample, label=label)


def _parse(spec: str) -> tuple[str, str, dict[str, str]]:
    kind, colon, rest = spec.partition(":")
    if not colon or kind not in KINDS:
        if Path(spec).exists():
            raise InputError(f"'{spec}': say what it is, e.g. folder:{spec} or video:{spec}.")
        raise InputError(
            f"'{spec}' is not a data spec.{nearest_hint(kind, KINDS)} "
            f"It starts with {', '.join(f'{known}:' for known in KINDS)} and goes on with a place."
        )
    options: dict[str, str] = {}
    while match := re.search(r",([a-z_]+)=([^,]*)$", rest):
        options[match[1]] = match[2]
        rest = rest[: match.start()]
    if not rest:
        raise InputError(f"'{spec}': nothing behind '{kind}:'; name the place.")
    return kind, rest, options


def _slice(text: str, spec: str) -> slice:
    if not re.fullmatch(r"-?\d*:-?\d*(:[1-9]\d*)?", text):
        raise InputError(f"{spec}: frames={text} must be START:STOP or START:STOP:STEP.")
    return slice(*(int(part) if part else None for part in text.split(":")))
