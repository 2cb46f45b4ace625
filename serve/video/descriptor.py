"""A few numbers that say what a frame shows, so that frames can be told apart."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .picture import planes

_SIZE = (16, 9)  # columns and rows of the thumbnail
_BLANK = 4.0  # standard deviation of the brightness below which a frame shows nothing


def describe(image: av.VideoFrame, mask: NDArray[np.uint8], classes: int) -> NDArray[np.float32]:
    """What the picture looks like and what the model sees in it, as one vector.

    A thumbnail in YUV (so that the Euclidean distance of two is the root mean square of the
    differences of their samples, 0–1), followed by the square roots of the classes' shares
    (whose distance is that of Hellinger, 0–√2). Frames that look alike and are segmented alike
    are close; either difference sets them apart.

    Args:
        image: planar 4:2:0.
        mask: train ids `[H, W]`.
        classes: how many there are.
    """
    thumbnail = np.concatenate(
        [cv2.resize(plane, _SIZE, interpolation=cv2.INTER_AREA).ravel() for plane in planes(image)]
    ).astype(np.float32)
    thumbnail /= 255.0 * np.sqrt(np.float32(thumbnail.size))
    shares = np.bincount(mask[::4, ::4].ravel(), minlength=classes)[:classes].astype(np.float32)
    shares /= max(1.0, float(shares.sum()))
    return np.concatenate([thumbnail, np.sqrt(shares)])


def shows_nothing(image: av.VideoFrame) -> bool:
    """Whether a frame is as good as of one colour: a covered lens, a fade, no signal."""
    luma = planes(image)[0]
    return float(luma[::8, ::8].std()) < _BLANK
