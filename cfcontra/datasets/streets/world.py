"""A world: one endless street with everything on it, and the eye that looks down it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from math import floor, pi, sin

from cfcontra.datasets.streets.blocks import Block, sample_block
from cfcontra.datasets.streets.dice import Dice, shares
from cfcontra.datasets.streets.layout import BLOCK, sample_layout
from cfcontra.datasets.streets.skyline import SKYLINE, sample_skyline
from cfcontra.datasets.streets.thing import Thing
from cfcontra.datasets.streets.traffic import EGO_SPEED, members, sample_streams

SIGHT = 150.0
_SIGHT_OF_SMALL = 95.0
_BEHIND = 20.0
_CACHED_BLOCKS, _CACHED_SHARES = 32, 64
_CELLS, _CELL_DRAWS = 24, 15
_BLOCKS, _BLOCK_DRAWS = 12, 150
_BEFORE = 6  # cells behind the start that share the first group's draws


@dataclass(frozen=True)
class Eye:
    """A pinhole camera in the street.

    Attributes:
        s, x, height: where it is: metres along the road, right of its middle, above it.
        yaw: radians to the right of the road's direction.
        focal: focal length in image widths.
        horizon: row of the horizon in image heights.
    """

    s: float
    x: float
    height: float
    yaw: float
    focal: float
    horizon: float


class World:
    """Everything there is, as a pure function of its key.

    Args:
        key: integers that name the world; another key is another street.
    """

    def __init__(self, *key: int) -> None:
        self._key = key
        dice = Dice(*key, 1)
        self.layout = sample_layout(dice)
        lane = self.layout.right.lanes - 1 if dice.chance(0.6) else 0
        self.streams = sample_streams(dice, self.layout, lane)
        self._eye_x = (lane + 0.5) * self.layout.lane_width + dice.between(-0.3, 0.3)
        self._eye_height = dice.between(1.25, 1.75)
        self._yaw = dice.between(-0.035, 0.035)
        self._focal = dice.between(0.80, 1.00)
        self._horizon = dice.between(0.40, 0.47)
        self._start = dice.between(0.0, BLOCK)
        self._skyline = sample_skyline(dice)
        self._phase = dice.between(0.0, 2 * pi)
        self.block = lru_cache(maxsize=_CACHED_BLOCKS)(self._block)
        self._shares = lru_cache(maxsize=_CACHED_SHARES)(shares)

    def _block(self, number: int) -> Block:
        group, member = divmod(number + 1, _BLOCKS)
        key = (*self._key, 2, group)
        share = self._shares(_BLOCKS, _BLOCK_DRAWS, *key)[member]
        return sample_block(Dice(*key, member, share=share), self.layout, number)

    def _roll(self, stream: int, cell: int) -> Dice:
        """The dice of one cell of a stream."""
        group, member = divmod(cell + _BEFORE, _CELLS)
        key = (*self._key, 3, group)
        row = stream * _CELLS + member
        share = self._shares(len(self.streams) * _CELLS, _CELL_DRAWS, *key)[row]
        return Dice(*key, row, share=share)

    def eye(self, time: float) -> Eye:
        """The camera at `time` seconds: it goes on at `EGO_SPEED`, swaying a little."""
        sway = self._phase + time
        return Eye(
            self._start + EGO_SPEED * time,
            self._eye_x + 0.12 * sin(0.5 * sway),
            self._eye_height + 0.012 * sin(7.0 * sway),
            self._yaw + 0.008 * sin(0.43 * sway),
            self._focal,
            self._horizon + 0.0025 * sin(5.3 * sway),
        )

    def blocks(self, eye: Eye) -> list[Block]:
        """The blocks in sight, nearest first."""
        last = floor((eye.s + SIGHT) / BLOCK)
        return [self.block(number) for number in range(self.first_block(eye), last + 1)]

    def first_block(self, eye: Eye) -> int:
        """Number of the nearest block in sight."""
        return floor((eye.s - _BEHIND) / BLOCK)

    def things(self, eye: Eye, time: float) -> list[Thing]:
        """All objects in sight, farthest first: the order to paint them in."""
        near, far = eye.s - _BEHIND, eye.s + SIGHT
        small = eye.s + _SIGHT_OF_SMALL
        found = [
            thing
            for block in self.blocks(eye)
            for thing in block.things
            if thing.s + thing.far > near and (thing.s < small or thing.far > 1.0)
        ]
        for number, stream in enumerate(self.streams):
            limit = small if stream.kind in ("walk", "bike") else far - 30.0
            roll = partial(self._roll, number)
            found += members(stream, roll, time, (near, limit), eye.s)
        found.append(self._skyline._replace(s=eye.s + SKYLINE))
        found.sort(key=_depth, reverse=True)
        return found


def _depth(thing: Thing) -> tuple[float, float]:
    # What flanks the street waits behind everything beside it; among equals, the outer is behind.
    return (thing.s + thing.far if thing.outer else thing.s - thing.near), abs(thing.x)
