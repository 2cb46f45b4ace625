"""Pictures with label files beside them: what most data sets are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.images import read_image
from cfcontra.errors import InputError, UnlabelledError
from cfcontra.label_space import LabelSpace

LabelReader = Callable[[Path], NDArray[np.uint8]]
"""Reads a label file as train ids `[H, W]`; names the file in its errors."""


@dataclass(frozen=True)
class Frame:
    """A picture, its label file (read only where labels are wanted) and its condition."""

    image: Path
    label: Path
    condition: str | None = None


class PairedDataset(SegmentationDataset):
    """Frames from files.

    Args:
        frames: in the order they are numbered.
        label_space: the space that `read_label` gives its ids in.
        read_label: turns a label file into train ids.
        labelled: False never opens a label file.

    Raises:
        InputError: no frames, or (labelled) a picture without a label file.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        label_space: LabelSpace,
        read_label: LabelReader,
        labelled: bool,
    ) -> None:
        self.label_space, self.labelled = label_space, labelled
        self._frames, self._read_label = frames, read_label
        if labelled:
            self._require_labels()

    def _require_labels(self) -> None:
        bare = [frame for frame in self._frames if not frame.label.is_file()]
        if bare:
            folders = {frame.label.parent for frame in self._frames}
            unlabelled = not any(folder.is_dir() for folder in folders)
            wrong = UnlabelledError if unlabelled else InputError
            raise wrong(
                f"{bare[0].image}: has no label {bare[0].label} "
                f"({len(bare)} of {len(self._frames)} pictures have none). Add or remove them."
            )

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        frame = self._frames[index]
        image = read_image(frame.image)
        if not self.labelled:
            return Sample(image, None, str(frame.image), condition=frame.condition)
        label = self._read_label(frame.label)
        if label.shape != image.shape[:2]:
            raise InputError(
                f"{frame.label}: is {label.shape[1]}×{label.shape[0]} but {frame.image.name} is "
                f"{image.shape[1]}×{image.shape[0]}. They must be the same size."
            )
        return Sample(image, label, str(frame.image), condition=frame.condition)
