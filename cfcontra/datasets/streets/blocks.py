"""What stands still: the street is cut into blocks, and each block is furnished on its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from cfcontra.datasets.streets import furniture, people
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.frontage import front, tree
from cfcontra.datasets.streets.individuals import bike, car, person
from cfcontra.datasets.streets.layout import BLOCK, KERB_HEIGHT, Layout, Side
from cfcontra.datasets.streets.thing import Shadow, Thing

_SLOTS = 3


@dataclass(frozen=True)
class Mark:
    """A rectangle on the road: paint, a patch, a manhole cover."""

    x: tuple[float, float]
    s: tuple[float, float]
    kind: str


@dataclass(frozen=True)
class Block:
    """`BLOCK` metres of street."""

    things: tuple[Thing, ...]
    marks: tuple[Mark, ...]
    junction: bool


def sample_block(dice: Dice, layout: Layout, number: int) -> Block:
    """Furnish block `number`, which covers `BLOCK * number` onward."""
    start = number * BLOCK
    things: list[Thing] = []
    marks: list[Mark] = []
    junction = dice.chance(0.10)
    crossing = junction or dice.chance(0.08)
    _scatter_patches(dice, layout, start, marks)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        if not junction:
            front(dice, side, sign, start, things)
            _tree_row(dice, side, sign, start, things)
            _parked(dice, side, sign, start, things)
            _lamp_and_signs(dice, side, sign, start, number, things)
            _bystanders(dice, side, sign, start, things)
    if crossing:
        _crosswalk(dice, layout, start, marks, things)
    return Block(tuple(things), tuple(marks), junction)


def _tree_row(dice: Dice, side: Side, sign: int, start: float, things: list[Thing]) -> None:
    if side.trees is None:
        return
    for k in range(2):
        if dice.chance(0.6):
            tree(dice, sign * side.trees, start + 5 + 10 * k + dice.between(-2, 2), things)


def _parked(dice: Dice, side: Side, sign: int, start: float, things: list[Thing]) -> None:
    if not side.parking:
        return
    x = sign * (side.kerb - 1.05)
    for slot in range(_SLOTS):
        if dice.chance(0.45):
            continue
        s = start + (slot + 0.5) * BLOCK / _SLOTS + dice.between(-0.6, 0.6)
        turned = (sign < 0) != dice.chance(0.05)
        if dice.chance(0.88):
            things.append(car(dice, x, s, turned)._replace(lights=dice.chance(0.06)))
        else:
            motor = partial(people.motorcyclist, 0, turned, False)
            things.append(bike(dice, motor, x, s, turned, 0.5)._replace(lights=False))


def _lamp_and_signs(
    dice: Dice, side: Side, sign: int, start: float, number: int, things: list[Thing]
) -> None:
    x, mirror = sign * (side.kerb + 0.45), (float(sign), 1.0, 1.0)
    if (number + (sign > 0)) % 2 == 0:
        reach = -sign * furniture.LAMP_REACH
        things.append(
            Thing(
                furniture.street_lamp, x, start + 10, KERB_HEIGHT, scale=mirror,
                shadow=Shadow(0.1, 0.1, 6.5), lamp=(reach, furniture.LAMP_HEIGHT),
            )
        )  # fmt: skip
    if dice.chance(0.42):
        facing = (sign > 0) or dice.chance(0.15)
        post = partial(furniture.traffic_sign, dice.integer(furniture.SIGNS), facing)
        things.append(
            Thing(
                post,
                x,
                start + dice.between(1, 8),
                KERB_HEIGHT,
                scale=mirror,
                shadow=Shadow(0.1, 0.1, 2.8),
            )
        )
    if dice.chance(0.10):
        things.append(
            Thing(furniture.bare_pole, x, start + 15, KERB_HEIGHT, shadow=Shadow(0.1, 0.1, 8))
        )
    if dice.chance(0.12):
        for k in range(4):
            things.append(Thing(furniture.bollard, x, start + 11.5 + 1.4 * k, KERB_HEIGHT))


def _bystanders(dice: Dice, side: Side, sign: int, start: float, things: list[Thing]) -> None:
    while dice.chance(0.34):
        x = sign * dice.between(side.walk[0] + 0.5, side.walk[1] - 0.3)
        look = partial(people.pedestrian, dice.integer(12), 2 + dice.integer(2), dice.chance(0.4))
        things.append(person(dice, look, x, start + dice.between(0, BLOCK), KERB_HEIGHT))
    if dice.chance(0.16):
        for k in range(1 + dice.integer(3)):
            parked = partial(people.cyclist, 0, False)
            s = start + 12 + 2.1 * k
            things.append(
                bike(dice, parked, sign * (side.walk[0] + 0.35), s, dice.chance(0.5), 0.6)
            )


def _crosswalk(
    dice: Dice, layout: Layout, start: float, marks: list[Mark], things: list[Thing]
) -> None:
    low, high = -layout.left.kerb + 0.2, layout.right.kerb - 0.2
    x = low
    while x + 0.5 < high:
        marks.append(Mark((x, x + 0.5), (start - 0.5, start + 2.5), "paint"))
        x += 1.0
    marks.append(Mark((0.1, high), (start - 2.6, start - 2.2), "paint"))
    if dice.chance(0.65):
        state, overhead = dice.integer(3), dice.chance(0.4)
        for side, sign, facing in ((layout.right, 1, True), (layout.left, -1, False)):
            light = partial(
                furniture.traffic_light, state, facing or dice.chance(0.3), overhead and sign > 0
            )
            things.append(
                Thing(
                    light,
                    sign * (side.kerb + 0.5),
                    start - 1.5 if facing else start + 3,
                    KERB_HEIGHT,
                    scale=(float(sign), 1.0, 1.0), shadow=Shadow(0.1, 0.1, 3.4),
                )
            )  # fmt: skip
    for _ in range(dice.integer(4)):
        walker = partial(people.pedestrian, dice.integer(12), dice.integer(people.STRIDES), True)
        x = dice.between(layout.lane_width * layout.right.lanes + 0.4, layout.right.kerb + 2.0)
        if dice.chance(0.6):
            x = dice.between(low, -layout.lane_width * 0.3)
        things.append(person(dice, walker, x, start + dice.between(0.0, 2.0), 0.0))


def _scatter_patches(dice: Dice, layout: Layout, start: float, marks: list[Mark]) -> None:
    low, high = -layout.left.kerb, layout.right.kerb
    for _ in range(2):
        x, s = dice.between(low + 1, high - 2), start + dice.between(0, BLOCK - 6)
        if dice.chance(0.5):
            size = dice.between(0.8, 2.5), dice.between(1.5, 6.0)
            marks.append(Mark((x, min(high, x + size[0])), (s, s + size[1]), "patch"))
    if dice.chance(0.5):
        x, s = dice.between(low + 1, high - 2), start + dice.between(0, BLOCK)
        marks.append(Mark((x, x + 0.65), (s, s + 0.65), "cover"))
