"""How the picture moved since the frame before, on a coarse grid, and how far to trust that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .memory import Memory

GRID_WIDTH = 240
"""Columns of the grid: a quarter of a 960-pixel frame, finer than a mask's own detail."""
BELIEVED = 128
"""Trust from which on a place counts as the same."""
_SMALLEST = 16  # what dense inverse search needs at least, in both directions
_NOISE, _CHANGE = 0.1, 0.25  # differences that mean nothing, and another thing: in contrasts
_CONTRAST = (16.0, 80.0)  # bounds of a picture's contrast, as a standard deviation of luma
_TORN = 0.6  # cells by which neighbours' motion may differ before it is no motion at all
_CUT = 0.6  # share of the grid that must be believed, or the scene is another one


@dataclass(frozen=True)
class Motion:
    """Where each place of a frame was in the frame before.

    Attributes:
        flow: displacement `[h, w, 2]` (x, y) to the place in the frame before, in grid cells.
        trust: uint8 `[h, w]`: 255 where that place looks the same, 0 where it does not
            (uncovered, newly there, another scene).
        scale: `(x, y)` size of a grid cell in pixels of the frame.
    """

    flow: NDArray[np.float32]
    trust: NDArray[np.uint8]
    scale: tuple[float, float]

    def dense(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Coordinates in the frame before `[H, W, 2]` for a picture of `size` (height, width)."""
        height, width = size
        rows, columns = self.flow.shape[:2]
        flow = self.flow * np.array((width / columns, height / rows), np.float32)
        dense = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(cv2.add(dense, _identity(height, width), dst=dense), dtype=np.float32)

    @cached_property
    def now(self) -> NDArray[np.float32]:
        """Coordinates of the cells' centres `[h, w, 2]`, in pixels of the frame."""
        cells = _identity(*self.flow.shape[:2])
        return np.asarray((cells + 0.5) * np.array(self.scale, np.float32) - 0.5, dtype=np.float32)

    @cached_property
    def then(self) -> NDArray[np.float32]:
        """Coordinates in the frame before `[h, w, 2]`, in its pixels, of the cells' centres."""
        return np.asarray(self.now + self.flow * np.array(self.scale, np.float32), dtype=np.float32)


class MotionEstimator:
    """Follows the motion from frame to frame: dense inverse search (Kroeger et al. 2016) on a grid.

    A change of exposure is not a change of the scene: the median difference of brightness
    is taken out before what was there is compared with what is there.
    """

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._before: NDArray[np.uint8] | None = None
        self._size = (0, 0)

    def __call__(self, luma: NDArray[np.uint8]) -> Motion | None:
        """Motion since the last call; None for the first frame and after a change of size.

        Args:
            luma: brightness `[H, W]`, uint8.
        """
        height, width = luma.shape
        columns = max(_SMALLEST, min(width, GRID_WIDTH))
        rows = max(_SMALLEST, round(height * columns / width))
        now = np.asarray(cv2.resize(luma, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        before, self._before = self._before, now
        known, self._size = self._size, (height, width)
        if before is None or known != self._size:
            return None
        found = self._search.calc(now, before, None)  # type: ignore[call-overload]
        flow = np.asarray(found, dtype=np.float32)
        return Motion(flow, _trust(before, now, flow), (width / columns, height / rows))

    def memory(self) -> Memory:
        """What the next motion depends on."""
        size = {"size": np.array(self._size)}
        return size if self._before is None else {**size, "before": self._before}

    def remember(self, memory: Memory) -> None:
        """Go on as who gave this memory."""
        height, width = (int(side) for side in memory["size"])
        self._size, self._before = (height, width), memory.get("before")


def looked_up(
    picture: NDArray[np.uint8],
    where: NDArray[np.float32],
    interpolation: int,
    border: int = cv2.BORDER_REPLICATE,
) -> NDArray[np.uint8]:
    """The picture's values `[h, w]` or `[h, w, C]` at coordinates `[h, w, 2]` (x, y)."""
    found = cv2.remap(picture, where, None, interpolation, borderMode=border)  # type: ignore[call-overload]
    return np.asarray(found, dtype=np.uint8)


def _trust(
    before: NDArray[np.uint8], now: NDArray[np.uint8], flow: NDArray[np.float32]
) -> NDArray[np.uint8]:
    where = flow + _identity(*now.shape)
    moved = looked_up(before, where, cv2.INTER_LINEAR)
    difference = now.astype(np.float32) - moved
    difference -= np.median(difference[::4, ::4])
    contrast = float(np.clip(now.std(), *_CONTRAST))
    unlike = cv2.blur(np.abs(difference), (3, 3)) / contrast
    trust = np.clip((_CHANGE - unlike) / (_CHANGE - _NOISE), 0.0, 1.0)
    # Between unrelated pictures the search finds likeness too, but each cell somewhere else.
    torn = cv2.blur(np.abs(flow - cv2.blur(flow, (9, 9))).sum(axis=2), (5, 5))
    trust *= np.clip(2.0 - 2.0 * torn / _TORN, 0.0, 1.0)
    believed = np.asarray(cv2.convertScaleAbs(trust, alpha=255.0), dtype=np.uint8)
    height, width = now.shape
    outside = (where[..., 0] < -0.5) | (where[..., 0] > width - 0.5)
    outside |= (where[..., 1] < -0.5) | (where[..., 1] > height - 0.5)
    believed[outside] = 0
    if np.count_nonzero(believed >= BELIEVED) < _CUT * believed.size:
        believed[:] = 0
    return believed


@lru_cache(maxsize=4)
def _identity(height: int, width: int) -> NDArray[np.float32]:
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    grid = np.stack([columns, rows], axis=2).astype(np.float32)
    grid.flags.writeable = False
    return grid
