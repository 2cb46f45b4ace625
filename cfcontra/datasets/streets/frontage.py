"""What closes the street off to a side: houses, gardens, walls, fences, parks."""

from __future__ import annotations

from functools import partial

from cfcontra.datasets.streets import buildings, plants
from cfcontra.datasets.streets.colors import FACADES, FENCES, LEAVES, ROOFS, TRIMS, WALLS
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.layout import BLOCK, KERB_HEIGHT, Side
from cfcontra.datasets.streets.mesh import WHITE
from cfcontra.datasets.streets.thing import Shadow, Thing


def front(dice: Dice, side: Side, sign: int, start: float, things: list[Thing]) -> None:
    kind = dice.weighted(
        ((0.52, "houses"), (0.20, "gardens"), (0.10, "wall"), (0.09, "fence"), (0.09, "park"))
    )
    edge = side.frontage
    if kind == "houses":
        _houses(dice, edge + dice.between(0.0, 0.6), sign, start, things)
        return
    if kind == "gardens":
        _houses(dice, edge + dice.between(3.5, 7.0), sign, start, things)
    border = {"gardens": dice.pick(("hedge", "fence", "wall")), "park": "hedge"}.get(kind, kind)
    if kind != "park" or dice.chance(0.5):
        _border(dice, border, edge, sign, start, things)
    for _ in range({"gardens": 1, "park": 5}.get(kind, 3)):
        depth = dice.between(1.5, 3.0) if kind == "gardens" else dice.between(2.5, 12.0)
        tree(dice, sign * (edge + depth), start + dice.between(1, BLOCK - 1), things, start + BLOCK)
    for _ in range(3):
        bush, s = plants.bush, start + dice.between(1, BLOCK - 1)
        things.append(
            Thing(
                partial(bush, dice.integer(4)), sign * (edge + dice.between(1.4, 3.0)), s,
                KERB_HEIGHT, 1.0, start + BLOCK - s, outer=True,
                paint=(dice.pick(LEAVES), WHITE, WHITE),
            )
        )  # fmt: skip


def _houses(dice: Dice, edge: float, sign: int, start: float, things: list[Thing]) -> None:
    rows = dice.pick(((7,), (4, 3), (3, 4), (4, 0), (0, 5)))
    at = start
    for bays in rows:
        length = (bays or 7 - sum(rows)) * BLOCK / 7
        storeys = dice.weighted(((2, 2), (3, 3), (3, 4), (2, 5), (1, 6)))
        if bays:
            stretch = length / (bays * buildings.BAY)
            house = partial(buildings.building, bays, storeys, dice.integer(buildings.STYLES))
            things.append(
                Thing(
                    house, sign * edge, at, KERB_HEIGHT, 0.0, length, outer=True,
                    scale=(float(sign), 1.0, stretch),
                    paint=(dice.pick(FACADES), dice.pick(ROOFS), dice.pick(TRIMS)),
                    seed=dice.integer(1 << 20),
                    shadow=Shadow(5.0, length / 2, buildings.building_height(storeys)),
                )
            )  # fmt: skip
        else:
            tree(dice, sign * (edge + dice.between(3, 7)), at + length / 2, things, start + BLOCK)
        at += length


def _border(
    dice: Dice, kind: str, edge: float, sign: int, start: float, things: list[Thing]
) -> None:
    if kind == "wall":
        piece, height = partial(buildings.wall, dice.integer(6)), 2.2
        length, paint = buildings.WALL_LENGTH, (dice.pick(WALLS), WHITE, dice.pick(TRIMS))
    elif kind == "fence":
        piece, height = partial(buildings.fence, dice.integer(4)), 0.0
        length, paint = buildings.FENCE_LENGTH, (WHITE, dice.pick(FENCES), WHITE)
    else:
        piece, height = partial(plants.hedge, dice.integer(6)), 1.6
        length, paint = plants.HEDGE_LENGTH, (dice.pick(LEAVES), WHITE, WHITE)
    shadow = Shadow(0.4, length / 2, height) if height else None
    for k in range(int(BLOCK / length)):
        things.append(
            Thing(
                piece, sign * edge, start + k * length, KERB_HEIGHT, 0.0, length, outer=True,
                scale=(sign, 1.0, 1.0), paint=paint, shadow=shadow,
            )
        )  # fmt: skip


def tree(dice: Dice, x: float, s: float, things: list[Thing], behind: float | None = None) -> None:
    """A tree; `behind` is the end of the border that it stands behind, if it does."""
    size = dice.between(0.75, 1.25)
    things.append(
        Thing(
            partial(plants.tree, dice.integer(plants.TREES)), x, s, KERB_HEIGHT, 2.5,
            2.5 if behind is None else behind - s, outer=behind is not None,
            scale=(size if dice.chance(0.5) else -size, size, size),
            paint=(dice.pick(LEAVES), WHITE, WHITE),
            shadow=Shadow(2.2 * size, 2.2 * size, 5.5 * size, crown=True),
        )
    )  # fmt: skip
