"""Some frames of a data set as the network gets them in use: no randomness at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.datasets import Sample, SegmentationDataset
from cfcontra.preprocessing import Preprocessing

from .augmentation import augment
from .settings import DataSettings, LightSettings


def plain_frames(
    dataset: SegmentationDataset,
    preprocessing: Preprocessing,
    most: int,
    ids_of: Callable[[Sample], NDArray[np.uint8]],
) -> tuple[Tensor, Tensor]:
    """Up to `most` frames, spread evenly over the data.

    Args:
        ids_of: what goes with a frame, `[H, W]`.

    Returns:
        Images uint8 `[F, 3, h, w]` and ids uint8 `[F, h, w]` at the working size.
    """
    plain = DataSettings(preprocessing.work_size, flip=False), LightSettings()
    shown = []
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), most)).round().astype(int):
        sample = dataset[int(index)]
        rng = np.random.default_rng(0)  # asked, but with nothing to decide
        shown.append(augment(sample.image, ids_of(sample), *plain, preprocessing, rng))
    images, ids = zip(*shown, strict=True)
    return torch.stack(images), torch.stack(ids)
