"""Which faces need no painting, because one later face will cover them entirely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.streets.arrays import Floats

_OCCLUDERS = 40
_MARGIN = 5e-4  # image widths: covers what painting rounds
_SMALLEST = 4e-4  # square image widths: a smaller face hides too little to be asked


def hidden(outline: Floats, low: Floats, high: Floats) -> NDArray[np.bool_]:
    """Faces whose visible bounds lie inside a later face's outline `[N]`.

    A box lies inside a convex outline if, for each edge, even its outermost corner does.

    Args:
        outline: corners of convex faces in painting order `[2, 8, N]`.
        low, high: the outlines' bounds `[2, N]`.
    """
    low, high = np.clip(low, [[0], [-1]], [[1], [1]]), np.clip(high, [[0], [-1]], [[1], [1]])
    area = (high[0] - low[0]) * (high[1] - low[1])
    chosen = np.argsort(area)[-_OCCLUDERS:]
    chosen = chosen[area[chosen] > _SMALLEST]
    within = (low[0] >= low[0, chosen, None]) & (high[0] <= high[0, chosen, None])
    within &= (low[1] >= low[1, chosen, None]) & (high[1] <= high[1, chosen, None])
    within &= np.arange(len(area)) < chosen[:, None]
    occluder, face = np.nonzero(within)

    x, y = outline[0][:, chosen], outline[1][:, chosen]  # [8, K]
    next_x, next_y = np.roll(x, -1, axis=0), np.roll(y, -1, axis=0)
    turning = np.sign((x * next_y - y * next_x).sum(axis=0))
    out_x, out_y = (next_y - y) * turning, (x - next_x) * turning
    reach = out_x * x + out_y * y - np.float32(_MARGIN) * np.hypot(out_x, out_y)
    out_x, out_y, reach = out_x[:, occluder], out_y[:, occluder], reach[:, occluder]
    farthest = np.where(out_x > 0, out_x * high[0, face], out_x * low[0, face])
    farthest += np.where(out_y > 0, out_y * high[1, face], out_y * low[1, face])
    covered = np.zeros(len(area), dtype=np.bool_)
    covered[face[(farthest <= reach).all(axis=0)]] = True
    return covered
