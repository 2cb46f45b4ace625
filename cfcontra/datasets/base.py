"""What every dataset yields, and the contract all of them keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace


@dataclass(frozen=True)
class Sample:
    """One frame.

    Attributes:
        image: RGB uint8 `[H, W, 3]`.
        label: train ids uint8 `[H, W]` (255: ignored), or None where there is none.
        origin: where it comes from, for messages and file names.
        ignore: bool `[H, W]`, True where pixels must not be learned from (a bonnet,
            burnt-in text), or None.
        condition: the weather or light it was taken in, where the data set says, or None.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8] | None
    origin: str
    ignore: NDArray[np.bool_] | None = None
    condition: str | None = None


class SegmentationDataset(ABC):
    """A fixed-length collection of frames in one label space.

    `dataset[i]` is a pure function of `i`: the same index gives the same sample,
    in every process. A dataset opened with `labelled=False` yields `label=None`
    and never touches a label file.

    Attributes:
        label_space: the space its labels are in.
        labelled: whether samples carry labels.
    """

    label_space: LabelSpace
    labelled: bool

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample: ...
