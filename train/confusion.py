"""Matrices of classes by classes, such as the confusion matrix, as pictures."""

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
    rows = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, rows, out=np.full(matrix.shape, np.nan), where=rows > 0)
    return draw_matrix(shares, classes, "row: true class, column: predicted, % of the row")


def draw_matrix(
    values: NDArray[np.float64], classes: Sequence[str], title: str
) -> NDArray[np.uint8]:
    """Draw a matrix of classes by classes, in hundredths.

    Args:
        values: `[C, C]`, up to 1; what is below 0 is as pale as 0, NaN is grey.

    Returns:
        RGB picture.
    """
    font, small = (ImageFont.load_default(size) for size in (_TEXT, _TEXT - 2))
    margin = round(max(font.getlength(name) for name in classes)) + 2 * _PAD
    side = max(margin + _CELL * len(classes), round(font.getlength(title)) + _PAD)
    heading = 2 * _TEXT
    height = heading + margin + _CELL * len(classes) + _PAD
    image = Image.new("RGB", (side + _PAD, height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((_PAD, _PAD), title, _INK, font)
    for index, name in enumerate(classes):
        start = margin + index * _CELL
        middle = heading + start + _CELL // 2
        draw.text((margin - _PAD, middle), name, _INK, font, anchor="rm")
        image.paste(_upright(name, font, margin), (start, heading))
    for row, column in np.ndindex(*values.shape):
        left, top = margin + column * _CELL, heading + margin + row * _CELL
        box = (left, top, left + _CELL - 2, top + _CELL - 2)
        value = float(values[row, column])
        if np.isnan(value):
            draw.rectangle(box, _EMPTY)
            continue
        color = np.rint(255 + (_HIGH - 255) * min(max(value, 0.0), 1.0)).astype(int)
        draw.rectangle(box, tuple(color.tolist()))
        if abs(value) >= 0.005:
            ink = _PAPER if value > 0.5 else _INK
            centre = (left + _CELL // 2, top + _CELL // 2)
            draw.text(centre, f"{100 * value:.0f}", ink, small, anchor="mm")
    return np.asarray(image)


def _upright(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, length: int
) -> Image.Image:
    strip = Image.new("RGB", (length, _CELL), _PAPER)
    ImageDraw.Draw(strip).text((_PAD, _CELL // 2), text, _INK, font, anchor="lm")
    return strip.rotate(90, expand=True)
