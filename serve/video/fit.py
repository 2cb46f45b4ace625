"""Bringing frames of any size and colour into the form that a source began with."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.reformatter import ColorRange, VideoReformatter

from cfcontra.orientation import Orientation

from .color import Color
from .picture import PLANAR, planes, to_planar, turned
from .source import VideoFormat

_BLACK = {ColorRange.MPEG: 16, ColorRange.JPEG: 0}
_GREY = 128


class Fit:
    """Scales frames into a format; where the aspect is another one, black bars fill the rest.

    Args:
        form: the format.
    """

    def __init__(self, form: VideoFormat) -> None:
        self._form = form
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, aspect: Fraction, turn: Orientation) -> av.VideoFrame:
        """The frame in the format; itself where nothing is to do. Its times are not set.

        Args:
            frame: as decoded.
            aspect: width of its pixels over their height.
            turn: what brings it upright.
        """
        form = self._form
        color = Color.of(frame)
        if turn != Orientation():
            size = (frame.width, frame.height)
            frame = turned(to_planar(self._reformatter, frame, size, color), turn)
            aspect = 1 / aspect if turn.transposed else aspect
        if (
            frame.format.name in PLANAR
            and (frame.width, frame.height, aspect) == (form.width, form.height, form.aspect)
            and (color.matrix, color.range) == (form.color.matrix, form.color.range)
        ):
            return frame
        size = self._inner(frame, aspect)
        scaled = to_planar(self._reformatter, frame, size, form.color)
        if size == (form.width, form.height):
            return scaled
        return self._framed(scaled)

    def _inner(self, frame: av.VideoFrame, aspect: Fraction) -> tuple[int, int]:
        form = self._form
        shown = frame.width * aspect / form.aspect
        scale = min(form.width / shown, Fraction(form.height, frame.height))
        width, height = round(shown * scale), round(frame.height * scale)
        # Bars of odd width would cut through a chroma sample.
        return (
            width if width == form.width else max(2, width & ~1),
            height if height == form.height else max(2, height & ~1),
        )

    def _framed(self, inner: av.VideoFrame) -> av.VideoFrame:
        form = self._form
        canvas = av.VideoFrame(form.width, form.height, "yuv420p")
        left = (form.width - inner.width) // 4 * 2
        top = (form.height - inner.height) // 4 * 2
        for index, (source, target) in enumerate(zip(planes(inner), planes(canvas), strict=True)):
            target[:] = _BLACK[form.color.range] if index == 0 else _GREY
            x, y = (left, top) if index == 0 else (left // 2, top // 2)
            target[y : y + source.shape[0], x : x + source.shape[1]] = source
        return canvas
