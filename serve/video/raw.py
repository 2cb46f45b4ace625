"""Raw frames: samples without a container, whose size and rate somebody has to say."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from cfcontra.errors import InputError

from .picture import plane_rows
from .pipe import Pipe
from .shape import Shaper
from .source import Frame, Source

_LOG = logging.getLogger(__name__)

PIXELS: dict[str, tuple[int, ...]] = {
    "rgb24": (3,),
    "bgr24": (3,),
    "gray": (1,),
    "yuv420p": (1, 1, 1),
    "nv12": (1, 2),
}
"""Layouts of raw frames by FFmpeg's names; for each plane the samples that lie side by side."""


def samples(image: av.VideoFrame, pixels: str, size: tuple[int, int]) -> Iterator[bytes]:
    """The samples of a frame, plane by plane.

    Args:
        image: in the layout `pixels`.
        pixels: one of `PIXELS`.
        size: `(width, height)` of the picture; what lies beyond it in the frame is padding.
    """
    for index, channels in enumerate(PIXELS[pixels]):
        width, height = _plane_size(index, size)
        yield plane_rows(image.planes[index], channels)[:height, : width * channels].tobytes()


class RawReader(Source):
    """Reads raw frames from a pipe.

    Args:
        pipe: where from.
        size: `(width, height)` in pixels.
        rate: frames per second.
        pixels: their layout, one of `PIXELS`.

    Raises:
        InputError: not one whole frame comes.
    """

    def __init__(self, pipe: Pipe, size: tuple[int, int], rate: Fraction, pixels: str) -> None:
        self.name = str(pipe)
        self._pipe, self._size, self._pixels = pipe, size, pixels
        self._bytes = sum(
            channels * math.prod(_plane_size(index, size))
            for index, channels in enumerate(PIXELS[pixels])
        )
        first = self._read()
        if first is None:
            raise InputError(
                f"{self.name}: not one whole frame came; {size[0]}×{size[1]} in {pixels} takes "
                f"{self._bytes} bytes."
            )
        self._first = first
        self._shape = Shaper(first, self.name, rate, 1 / rate)
        self.format = self._shape.format

    def __iter__(self) -> Iterator[Frame]:
        frame: av.VideoFrame | None = self._first
        index = 0
        while frame is not None:
            image = self._shape(frame)
            image.pts, image.time_base, image.duration = index, self.format.time_base, 1
            yield Frame(index, image)
            index += 1
            frame = self._read()

    def _read(self) -> av.VideoFrame | None:
        data = self._pipe.read_exactly(self._bytes)
        if len(data) < self._bytes:
            if data:
                _LOG.warning("%s: ends in the middle of a frame, which is left out.", self.name)
            return None
        frame = av.VideoFrame(*self._size, self._pixels)
        position = 0
        for index, channels in enumerate(PIXELS[self._pixels]):
            width, height = _plane_size(index, self._size)
            rows = np.frombuffer(data, np.uint8, width * channels * height, position)
            plane_rows(frame.planes[index], channels)[:] = rows.reshape(height, -1)
            position += rows.size
        return frame

    def interrupt(self) -> None:
        self._pipe.interrupt()

    def close(self) -> None:
        self._pipe.interrupt()


def _plane_size(index: int, size: tuple[int, int]) -> tuple[int, int]:
    width, height = size
    return size if index == 0 else (-(-width // 2), -(-height // 2))
