"""Array types, and the way back to them from OpenCV's looser ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def as_bytes(array: NDArray[Any]) -> Bytes:
    """The same array, converted only where it is not of bytes already."""
    return np.asarray(array, dtype=np.uint8)


def as_floats(array: NDArray[Any]) -> Floats:
    """The same array, converted only where it is not of 32-bit floats already."""
    return np.asarray(array, dtype=np.float32)
