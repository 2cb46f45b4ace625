"""Textures and grain, made once and cut to measure."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.dice import Dice

_SLACK = 64
TILE = 256


@lru_cache(maxsize=1)
def cloud_tile() -> Floats:
    """Seamless fractal noise `[TILE, TILE]` with every value of 0–1 equally frequent."""
    tile = _fractal(3, (4, 8, 16, 32, 64), 0.55)
    ranks = np.argsort(np.argsort(tile, axis=None)).reshape(tile.shape)
    return (ranks / ranks.size).astype(np.float32)


@lru_cache(maxsize=1)
def asphalt_tile() -> Bytes:
    """Seamless grain with stains `[TILE, TILE]`: mean 128, standard deviation 48."""
    tile = _fractal(5, (4, 16, 64, 128, 256), 0.85)
    tile = (tile - tile.mean()) / tile.std() * 48 + 128
    return as_bytes(np.clip(tile, 0, 255).astype(np.uint8))


@lru_cache(maxsize=4)
def screen_tile(height: int, width: int) -> Floats:
    """Grain over a whole picture `[H, W]`, mean 0, standard deviation 1, the same at any size."""
    tile = _fractal(7, (32, 64, 128, 256), 0.95)
    tile = np.tile((tile - tile.mean()) / tile.std(), (1, 2))
    return as_floats(cv2.resize(tile, (width, height), interpolation=cv2.INTER_LINEAR))


def _fractal(seed: int, cells: tuple[int, ...], decay: float) -> Floats:
    generator = np.random.default_rng(seed)
    total = np.zeros((TILE, TILE), dtype=np.float32)
    weight = 1.0
    for count in cells:
        coarse = np.pad(generator.random((count, count), dtype=np.float32), 2, mode="wrap")
        scale = TILE // count
        fine = cv2.resize(coarse, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += weight * fine[2 * scale : 2 * scale + TILE, 2 * scale : 2 * scale + TILE]
        weight *= decay
    total -= total.min()
    return as_floats(total / total.max())


@lru_cache(maxsize=6)
def _grain(height: int, width: int, strength: float, channels: int) -> tuple[Bytes, Bytes]:
    generator = np.random.default_rng(11)
    shape = (height + _SLACK, width + _SLACK)
    shared = generator.standard_normal((*shape, 1), dtype=np.float32)
    own = generator.standard_normal((*shape, channels), dtype=np.float32)
    grain = np.float32(strength) * (np.float32(0.75) * own + np.float32(0.66) * shared)
    grain = np.rint(grain.squeeze())
    return np.maximum(grain, 0).astype(np.uint8), np.maximum(-grain, 0).astype(np.uint8)


def add_grain(image: Bytes, strength: float, dice: Dice) -> Bytes:
    """`image` `[H, W, 3]` or `[H, W]` with normal noise of a standard deviation in grey levels."""
    top, left = dice.integer(_SLACK), dice.integer(_SLACK)
    height, width = image.shape[:2]
    channels = image.shape[2] if image.ndim == 3 else 1
    lighter, darker = _grain(height, width, strength, channels)
    window = slice(top, top + height), slice(left, left + width)
    return as_bytes(cv2.subtract(cv2.add(image, lighter[window]), darker[window]))


@lru_cache(maxsize=4)
def vignette(height: int, width: int, strength: float) -> Floats:
    """Brightness `[H, W]` that falls by `strength` toward the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return (1 - np.float32(strength) * ((x * x + y * y) / 2) ** 1.5).astype(np.float32)
