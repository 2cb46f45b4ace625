"""Label pictures that show classes by colour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import IGNORE_INDEX, Color, LabelSpace


def encode_colors(
    colors: NDArray[np.uint8], space: LabelSpace, further: Mapping[Color, int] | None = None
) -> NDArray[np.uint8]:
    """RGB `[H, W, 3]` as train ids `[H, W]`; a colour that no class has is ignored.

    Args:
        further: colours that mean a train id besides the label space's own.
    """
    known = {color: train_id for train_id, color in enumerate(space.colors)} | dict(further or {})
    codes = np.array([_code(np.array(color)) for color in known], dtype=np.int32)
    order = np.argsort(codes)
    ids = np.array([*known.values()], dtype=np.uint8)[order]
    codes = codes[order]
    pixels = _code(colors.astype(np.int32))
    place = np.searchsorted(codes, pixels).clip(max=len(codes) - 1)
    return np.where(codes[place] == pixels, ids[place], IGNORE_INDEX).astype(np.uint8)


def _code(color: NDArray[np.int32]) -> NDArray[np.int32]:
    code: NDArray[np.int32] = (color[..., 0] << 16) | (color[..., 1] << 8) | color[..., 2]
    return code
