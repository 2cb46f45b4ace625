"""Seeded draws: a stream of random numbers that is a pure function of its key."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 96


def name_key(name: str) -> int:
    """A number for a name, the same in every process and on every machine."""
    return zlib.crc32(name.encode())


class Dice:
    """Random draws keyed by integers of any sign; the same key gives the same draws.

    Draws are taken in blocks, because a numpy call per number would dominate the
    cost of sampling a scene.

    Args:
        key: what the draws follow from.
        share: first draws, from `shares`.
    """

    def __init__(self, *key: int, share: Sequence[float] = ()) -> None:
        self._key = key
        self._generator: np.random.Generator | None = None
        self._block = list(share)

    def unit(self) -> float:
        """A number in `[0, 1)`."""
        if not self._block:
            self._generator = self._generator or _generator(self._key)
            self._block = self._generator.random(_BLOCK).tolist()
        return self._block.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def integer(self, count: int) -> int:
        """One of `0 .. count - 1`."""
        return int(self.unit() * count)

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def pick(self, options: Sequence[T]) -> T:
        return options[self.integer(len(options))]

    def weighted(self, options: Sequence[tuple[float, T]]) -> T:
        """One of `(weight, option)`."""
        left = self.unit() * sum(weight for weight, _ in options)
        for weight, option in options:
            left -= weight
            if left < 0:
                return option
        return options[-1][1]


def shares(count: int, draws: int, *key: int) -> list[list[float]]:
    """First draws for `count` dice at the cost of one; a dice that needs more has its own key."""
    drawn: list[list[float]] = _generator(key).random((count, draws)).tolist()
    return drawn


def _generator(key: tuple[int, ...]) -> np.random.Generator:
    return np.random.default_rng([2 * k if k >= 0 else -2 * k - 1 for k in key])
