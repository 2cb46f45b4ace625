"""How often two pictures of bytes have which pair of values in the same place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PART = 1 << 20  # pixels; for a whole picture, what is counted would take eight bytes a pixel


def pair_counts(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A table `[256, 256]` of how many pixels have which value in the first and the second.

    Args:
        first: its values choose the row.
        second: of the same shape; its values choose the column.
    """
    counts = np.zeros(1 << 16, np.int64)
    rows, columns = first.ravel(), second.ravel()
    for start in range(0, rows.size, _PART):
        part = slice(start, start + _PART)
        pairs = rows[part].astype(np.uint16) << 8 | columns[part]
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(256, 256)
