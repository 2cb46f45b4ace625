"""Colouring a video frame by its mask, without leaving YUV."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2

from .color import Color
from .picture import planes


class YuvOverlay:
    """Blends class colours into planar 4:2:0 frames.

    Decoders give and encoders take this format, so blending there needs no colour
    conversion, half the samples of RGB, and leaves the picture's own colours exact.
    Frames of odd size are padded to even by repeating the last row and column, which
    H.264 asks for.

    Args:
        label_space: classes and their RGB colours.
        opacity: share of the class colour, 0 (frame only) to 1 (colour only).
        color: matrix and range of the frames.
    """

    def __init__(self, label_space: LabelSpace, opacity: float, color: Color) -> None:
        self._opacity = opacity
        self._color = color
        self._tables = np.ascontiguousarray(color.yuv(label_space.palette()).T)

    def __call__(self, image: av.VideoFrame, mask: NDArray[np.uint8]) -> av.VideoFrame:
        """A new frame with the overlay; timestamps are kept.

        Args:
            image: planar 4:2:0, `[H, W]`.
            mask: train ids `[H, W]`.
        """
        height, width = mask.shape
        blended = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
        for index, (source, target) in enumerate(zip(planes(image), planes(blended), strict=True)):
            self.blend(index, source, mask, target)
        return self.stamp(blended, image)

    def blend(
        self,
        index: int,
        source: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        target: NDArray[np.uint8],
    ) -> None:
        """Fill a plane of a picture.

        Args:
            index: 0 for luma, 1 and 2 for chroma.
            source: the frame's plane `[h, w]`.
            mask: train ids `[H, W]`.
            target: the plane to fill, at least as large as `source`.
        """
        ids = mask if index == 0 else np.ascontiguousarray(mask[::2, ::2])
        height, width = ids.shape
        cv2.addWeighted(
            source,
            1.0 - self._opacity,
            cv2.LUT(ids, self._tables[index]),
            self._opacity,
            0.0,
            dst=target[:height, :width],
        )
        pad_to_even(target, height, width)

    def stamp(self, picture: av.VideoFrame, image: av.VideoFrame) -> av.VideoFrame:
        """Give `picture` the colour tags and the times of `image`."""
        self._color.tag(picture)
        picture.pts, picture.time_base = image.pts, image.time_base
        picture.duration = image.duration
        return picture


def pad_to_even(plane: NDArray[np.uint8], height: int, width: int) -> None:
    """Repeat the last row and column of what fills `[height, width]` over the rest of the plane."""
    plane[height:] = plane[height - 1 : height]
    plane[:, width:] = plane[:, width - 1 : width]
