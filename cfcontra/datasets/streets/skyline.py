"""The far end of the view: rooftops and trees that close the street in the haze."""

from __future__ import annotations

from functools import cache, partial

from cfcontra.datasets.streets.colors import FACADES, LEAVES, ROOFS
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.mesh import (
    WHITE,
    Material,
    Mesh,
    MeshBuilder,
    Rgb,
    Surface,
    rectangle,
)
from cfcontra.datasets.streets.thing import Thing

SKYLINE = 240.0
_VARIANTS = 12
_REACH = 190.0


@cache
def _skyline(variant: int, _detail: int) -> Mesh:
    dice = Dice(variant, 31)
    build = MeshBuilder()
    x = -_REACH
    while x < _REACH:
        width, height = dice.between(14, 30), dice.between(7, 21)
        _block(build, dice, x, width, height)
        x += width * dice.between(0.8, 1.25)
    x = -_REACH
    while x < _REACH:
        radius = dice.between(2.5, 5.0)
        _grove(build, x, radius, dice.pick(LEAVES), dice.unit())
        x += radius * dice.between(1.2, 3.0)
    return build.build()


def _block(build: MeshBuilder, dice: Dice, x: float, width: float, height: float) -> None:
    build.card(rectangle(x, x + width, 0, height), Surface("building", dice.pick(FACADES)))
    roof = Surface("building", dice.pick(ROOFS))
    if dice.chance(0.5):
        build.card(
            [(x, height), (x + width, height), (x + width - 3, height + 4), (x + 3, height + 4)],
            roof,
        )
    else:
        build.card(rectangle(x, x + width, height - 0.8, height), roof)
    glass = Surface("building", (0.16, 0.20, 0.25), material=Material.WINDOW)
    for storey in range(0, int(height / 3.2) - 1, 2):
        for column in range(int(width / 7)):
            left, low = x + 1.5 + column * 7, 4.2 + storey * 3.2
            build.card(rectangle(left, left + 3.2, low, low + 1.8), glass)


def _grove(build: MeshBuilder, x: float, radius: float, color: Rgb, turn: float) -> None:
    build.blob((x, radius * 0.9, -1.0), (radius, radius), Surface("vegetation", color), turn=turn)
    shade: Rgb = (color[0] * 0.8, color[1] * 0.8, color[2] * 0.8)
    build.blob(
        (x + radius * 0.5, radius * 0.6, -1.0), (radius, radius * 0.8), Surface("vegetation", shade)
    )


def sample_skyline(dice: Dice) -> Thing:
    """The view's end; whoever draws it sets `s` to `SKYLINE` metres ahead of the eye."""
    mirror = 1.0 if dice.chance(0.5) else -1.0
    return Thing(
        partial(_skyline, dice.integer(_VARIANTS)), 0.0, 0.0, scale=(mirror, 1.0, 1.0),
        outer=True, paint=(WHITE, WHITE, WHITE),
    )  # fmt: skip
