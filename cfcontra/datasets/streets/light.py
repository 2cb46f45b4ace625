"""What every style shares: how a face's colour follows from what falls on it.

Colours are display values (0–1, gamma 2); light is linear and adds up.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.mesh import Rgb
from cfcontra.datasets.streets.noise import TILE, cloud_tile

LAMP_LIGHT: Rgb = (1.00, 0.72, 0.40)
HEAD_LIGHT: Rgb = (1.00, 0.95, 0.82)
TAIL_LIGHT: Rgb = (1.00, 0.10, 0.06)
SKY_ROWS, SKY_COLUMNS = 40, 72


def rgb(color: Rgb) -> Floats:
    return np.array(color, dtype=np.float32)


def code_table(share: Callable[[int], float]) -> Bytes:
    """Lookup table `[256, 1]` from a pixel's code to a share of 0–1, as bytes."""
    return np.array([[round(255 * share(code))] for code in range(256)], dtype=np.uint8)


def display(linear: Floats) -> Floats:
    """Linear light to display values 0–1, rolling off softly above 0.8."""
    value = np.sqrt(np.maximum(linear, 0))
    over = np.maximum(value - np.float32(0.8), 0)
    return as_floats(np.minimum(value, np.float32(0.8)) + 0.2 * (1 - np.exp(-over * 5)))


def fade(colors: Floats, ahead: Floats, haze: Floats, distance: float) -> Bytes:
    """Display colours `[N, 3]` seen through haze, as bytes."""
    thickness = 1 - np.exp(-np.maximum(ahead, 0)[:, None] / np.float32(distance))
    hazed = colors + (haze - colors) * thickness
    return as_bytes(np.clip(hazed * 255 + 0.5, 0, 255).astype(np.uint8))


def clouds(focal: float, aspect: float, drift: float, dice: Dice) -> tuple[Floats, Floats, Floats]:
    """Cloud density 0–1 `[SKY_ROWS, SKY_COLUMNS]` on a flat layer, seen in perspective.

    Also the elevation (tangent) of each row `[SKY_ROWS, 1]` and the azimuth (tangent) of each
    column `[1, SKY_COLUMNS]`.

    Args:
        focal: focal length in image widths.
        aspect: rows of sky in image widths.
        drift: metres the eye has moved ahead, scaled to the tile.
        dice: decides which clouds.
    """
    rows = (SKY_ROWS - np.arange(SKY_ROWS, dtype=np.float32) - 0.5) / SKY_ROWS
    elevation = (rows * np.float32(aspect / focal))[:, None]
    azimuth = (np.arange(SKY_COLUMNS, dtype=np.float32) + 0.5) / SKY_COLUMNS - 0.5
    azimuth = (azimuth / np.float32(focal))[None, :]
    height = np.float32(9.0) / (elevation + np.float32(0.09))
    x = azimuth * height + np.float32(dice.between(0, TILE))
    y = np.broadcast_to(height + np.float32(dice.between(0, TILE) + drift), x.shape)
    density = cv2.remap(
        cloud_tile(),
        np.mod(x, TILE).astype(np.float32),
        np.mod(y, TILE).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return as_floats(density), as_floats(elevation), as_floats(azimuth)
