"""Timings as a bar chart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .bench import Timing

_WIDTH, _ROW, _LABEL, _PAD, _TEXT = 1000, 30, 480, 12, 15
_PAPER, _INK, _BAR, _LINE = (255, 255, 255), (20, 20, 20), (23, 78, 166), (120, 120, 120)


def draw_timings(timings: Sequence[Timing]) -> NDArray[np.uint8]:
    """A bar for each timing's median, with a line to its 99th percentile.

    Returns:
        RGB picture.
    """
    height = _ROW * (len(timings) + 1) + 2 * _PAD
    picture = Image.new("RGB", (_WIDTH, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_TEXT)
    draw.text((_PAD, _PAD), "milliseconds per call: median, line to p99", _INK, font)
    room = _WIDTH - _LABEL - 110
    longest = max(timing.p99 for timing in timings)
    for index, timing in enumerate(timings, start=1):
        top = _PAD + index * _ROW
        size = f"{timing.batch} of {timing.size[0]}x{timing.size[1]}"
        label = f"{timing.model} ({timing.precision}), {timing.runtime}, {size}"
        draw.text((_PAD, top + 5), _shortened(label, font), _INK, font)
        end = _LABEL + round(room * timing.p50 / longest)
        draw.rectangle((_LABEL, top + 4, end, top + _ROW - 6), _BAR)
        middle = top + _ROW // 2 - 1
        last = _LABEL + round(room * timing.p99 / longest)
        draw.line((end, middle, last, middle), _LINE, 2)
        draw.text((last + 8, top + 5), f"{timing.p50:.1f}", _INK, font)
    return np.asarray(picture, dtype=np.uint8)


def _shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > _LABEL - 2 * _PAD:
        text = text[:-2].rstrip("…") + "…"
    return text
