"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_CELL, _PAD, _TEXT = 40, 8, 15
_PAPER, _INK, _EMPTY = (255, 255, 255), (20, 20, 20), (235, 235, 235)
_HIGH = np.array([23, 78, 166])


def draw_confusion(matrix: NDArray[np.int64], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Draw each true class's pixels by predicted class, in per cent of the row.

    Args:
        matrix: pixel counts `[C, C]`, row true class, column predicted class.
        classes: C names.

    Returns:
        RGB picture. A row without pixels is grey.
    """
    font, small = (ImageFont.load_default(size) for size in (_TEXT, _TEXT - 2))
    margin = round(max(font.getlength(name) for name in classes)) + 2 * _PAD
    side = margin + _CELL * len(classes)
    heading = 2 * _TEXT
    image = Image.new("RGB", (side + _PAD, side + _PAD + heading), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((_PAD, _PAD), "row: true class, column: predicted, % of the row", _INK, font)
    for index, name in enumerate(classes):
        start = margin + index * _CELL
        middle = heading + start + _CELL // 2
        draw.text((margin - _PAD, middle), name, _INK, font, anchor="rm")
        image.paste(_upright(name, font, margin), (start, heading))
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row, column in np.ndindex(*matrix.shape):
        left, top = margin + column * _CELL, heading + margin + row * _CELL
        box = (left, top, left + _CELL - 2, top + _CELL - 2)
        if not matrix[row].any():
            draw.rectangle(box, _EMPTY)
            continue
        share = float(shares[row, column])
        color = np.rint(255 + (_HIGH - 255) * share).astype(int)
        draw.rectangle(box, tuple(color.tolist()))
        if share >= 0.005:
            ink = _PAPER if share > 0.5 else _INK
            centre = (left + _CELL // 2, top + _CELL // 2)
            draw.text(centre, f"{100 * share:.0f}", ink, small, anchor="mm")
    return np.asarray(image)


def _upright(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, length: int
) -> Image.Image:
    strip = Image.new("RGB", (length, _CELL), _PAPER)
    ImageDraw.Draw(strip).text((_PAD, _CELL // 2), text, _INK, font, anchor="lm")
    return strip.rotate(90, expand=True)
