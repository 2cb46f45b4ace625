"""Frames as network inputs, for what must know the network's real values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cfcontra.datasets.base import Sample
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.torch_backend import letterbox

from .frames import load_frames


def calibration_images(
    specs: Sequence[str], count: int, metadata: ModelMetadata
) -> list[NDArray[np.float32]]:
    """Network inputs `[1, 3, h, w]` of `count` frames, spread evenly over the data.

    Args:
        specs: data specs, images or videos; no label is opened.

    Raises:
        InputError: a count below one, or a spec that names no usable frames.
    """
    option = "--calibrate-frames"
    samples = load_frames(specs, count, metadata.label_space, labelled=False, option=option)
    return network_inputs(samples, metadata.preprocessing)


def network_inputs(
    samples: Iterable[Sample], preprocessing: Preprocessing
) -> list[NDArray[np.float32]]:
    """Network inputs `[1, 3, h, w]` of frames."""
    return [
        letterbox(torch.from_numpy(np.ascontiguousarray(sample.image[None])), preprocessing)
        .contiguous()
        .numpy()
        for sample in samples
    ]
