"""Masks as indexed PNG: values are train ids, shown in the classes' colours."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cfcontra.label_space import LabelSpace


def encode_mask(mask: NDArray[np.uint8], label_space: LabelSpace) -> bytes:
    """Train ids `[H, W]` as a palette PNG."""
    image = Image.fromarray(mask)
    image.putpalette(label_space.palette().tobytes())
    stored = io.BytesIO()
    image.save(stored, "PNG", compress_level=1)
    return stored.getvalue()
