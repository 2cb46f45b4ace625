"""One car, one two-wheeler, one pedestrian: each with looks of its own."""

from __future__ import annotations

from functools import partial

from cfcontra.datasets.streets import cars
from cfcontra.datasets.streets.colors import CAR_COLORS, CLOTHES, FRAMES
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.mesh import WHITE
from cfcontra.datasets.streets.thing import MeshSource, Shadow, Thing


def car(dice: Dice, x: float, s: float, turned: bool) -> Thing:
    """A car of any shape and colour."""
    shape = dice.weighted(((3, 0), (4, 1), (3, 2), (3, 3), (1, 4)))
    form = cars.CARS[shape]
    half = form.length / 2
    return Thing(
        partial(cars.car, shape), x, s, 0.0, half, half, turned=turned,
        paint=(dice.pick(CAR_COLORS), WHITE, WHITE),
        shadow=Shadow(form.width / 2, half, form.height * 0.85),
    )  # fmt: skip


def bike(dice: Dice, mesh: MeshSource, x: float, s: float, turned: bool, tall: float) -> Thing:
    """A two-wheeler; `tall` metres of it throw a shadow."""
    paint = (dice.pick(CLOTHES), dice.pick(CLOTHES), dice.pick(FRAMES))
    return Thing(
        mesh, x, s, 0.0, 1.0, 1.0, turned=turned, paint=paint, shadow=Shadow(0.25, 0.8, tall)
    )


def person(dice: Dice, mesh: MeshSource, x: float, s: float, y: float) -> Thing:
    """A pedestrian, grown up or a child, in clothes of their own."""
    size = dice.between(0.92, 1.08) * (0.7 if dice.chance(0.1) else 1.0)
    paint = (dice.pick(CLOTHES), dice.pick(CLOTHES), dice.pick(FRAMES))
    mirror = size if dice.chance(0.5) else -size
    return Thing(
        mesh, x, s, y, scale=(mirror, size, size), paint=paint, shadow=Shadow(0.2, 0.15, 1.6)
    )
