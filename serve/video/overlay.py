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

    def __call__(self, frame: av.VideoFrame, mask: NDArray[np.uint8]) -> av.VideoFrame:
        """A new frame with the overlay; timestamps are kept.

        Args:
            frame: planar 4:2:0, `[H, W]`.
            mask: train ids `[H, W]`.
        """
        height, width = mask.shape
        blended = av.VideoFrame(width + width % 2, height + height % 2, "yuv420p")
        quarter = np.ascontiguousarray(mask[::2, ::2])
        for index, (source, target) in enumerate(zip(planes(frame), planes(blended), strict=True)):
            ids = mask if index == 0 else quarter
            inside = target[: ids.shape[0], : ids.shape[1]]
            cv2.addWeighted(
                source,
                1.0 - self._opacity,
                cv2.LUT(ids, self._tables[index]),
                self._opacity,
                0.0,
                dst=inside,
            )
        luma = planes(blended)[0]
        luma[height:] = luma[height - 1 : height]
        luma[:, width:] = luma[:, width - 1 : width]
        self._color.tag(blended)
        blended.pts, blended.time_base = frame.pts, frame.time_base
        blended.duration = frame.duration
        return blended
