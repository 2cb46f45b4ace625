"""Bringing decoded frames into one form: upright, 8-bit planar YUV 4:2:0, of one size."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from .color import Color
from .picture import PLANAR, Orientation, planes
from .source import DEFAULT_RATE, VideoFormat


class Shaper:
    """Turns every frame of a stream into the form of its first.

    Colours keep the first frame's matrix and range, rotation is applied, and frames of
    another size are scaled.

    Args:
        first: the first frame decoded.
        stream: where it came from.
        name: of the source, for messages.

    Attributes:
        format: what all frames are brought to.
    """

    def __init__(self, first: av.VideoFrame, stream: av.VideoStream, name: str) -> None:
        self._orientation = Orientation.of(first, name)
        self._size = (first.width, first.height)
        self._color = Color.of(first)
        self._reformatter = VideoReformatter()
        rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
        aspect = stream.sample_aspect_ratio or Fraction(1)
        width, height = self._size
        if self._orientation.transposed:
            width, height, aspect = height, width, 1 / aspect
        time_base = stream.time_base or 1 / rate
        self.format = VideoFormat(width, height, rate, time_base, self._color, aspect)

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in the format; itself where nothing is to do. Its times are not set."""
        return self._orientation.apply(self._planar(frame))

    def _planar(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if frame.format.name in PLANAR and (frame.width, frame.height) == self._size:
            return frame
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=self._color.matrix,
            dst_color_range=self._color.range,
        )


class RgbConverter:
    """Turns frames into the RGB that a backend takes; one per thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(
        self, image: av.VideoFrame, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """RGB uint8 `[H, W, 3]`.

        Args:
            image: any frame.
            out: contiguous array to fill; None for a new one.
        """
        converted = self._reformatter.reformat(image, format="rgb24", threads=1)
        if out is None:
            out = np.empty((image.height, image.width, 3), np.uint8)
        out.reshape(image.height, -1)[:] = planes(converted, channels=3)[0]
        return out
