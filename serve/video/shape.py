"""Bringing decoded frames into one form: upright, 8-bit planar YUV 4:2:0, of one size."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cfcontra.orientation import Orientation

from .color import Color
from .picture import PLANAR, plane_rows, to_planar, turned
from .source import DEFAULT_RATE, VideoFormat


class Shaper:
    """Turns every frame of a source into the form of its first.

    Colours keep the first frame's matrix and range, rotation is applied, and frames of
    another size are scaled.

    Args:
        first: the first frame decoded.
        name: of the source, for messages.
        rate: frames per second.
        time_base: unit of the timestamps in seconds.
        aspect: width of a pixel over its height, as stored.

    Attributes:
        format: what all frames are brought to.
    """

    def __init__(
        self,
        first: av.VideoFrame,
        name: str,
        rate: Fraction,
        time_base: Fraction,
        aspect: Fraction = Fraction(1),
    ) -> None:
        self._orientation = Orientation.of(first, name)
        self._color = Color.of(first)
        self._reformatter = VideoReformatter()
        width, height = self._orientation.upright((first.width, first.height))
        aspect = 1 / aspect if self._orientation.transposed else aspect
        self.format = VideoFormat(width, height, rate, time_base, self._color, aspect)

    @classmethod
    def of_stream(cls, first: av.VideoFrame, stream: av.VideoStream, name: str) -> Shaper:
        """For the frames of a stream, whose first is given."""
        rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return cls(first, name, rate, stream.time_base or 1 / rate, aspect)

    def __call__(self, frame: av.VideoFrame, turn: Orientation | None = None) -> av.VideoFrame:
        """The frame in the format; itself where nothing is to do. Its times are not set.

        Args:
            frame: as decoded.
            turn: what brings it upright, None where that is what brings the first so.
        """
        turn = self._orientation if turn is None else turn
        size = turn.upright((self.format.width, self.format.height))
        return turned(self._planar(frame, size), turn)

    def _planar(self, frame: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
        color = Color.of(frame)
        if (
            frame.format.name in PLANAR
            and (frame.width, frame.height) == size
            and (color.matrix, color.range) == (self._color.matrix, self._color.range)
        ):
            return frame
        return to_planar(self._reformatter, frame, size, self._color)


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
        out.reshape(image.height, -1)[:] = plane_rows(converted.planes[0], 3)
        return out
