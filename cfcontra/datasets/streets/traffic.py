"""What moves: streams of vehicles, riders and pedestrians.

All members of a stream go at one speed, so they never meet. Each cell of the
stream's own moving coordinate holds one member or none, drawn from the cell's
number: an endless flow without any stored state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import floor, sin

from cfcontra.datasets.streets import heavy, people
from cfcontra.datasets.streets.colors import CARGO_COLORS, COACH_COLORS
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.individuals import bike, car, person
from cfcontra.datasets.streets.layout import KERB_HEIGHT, Layout
from cfcontra.datasets.streets.mesh import WHITE
from cfcontra.datasets.streets.thing import MeshSource, Shadow, Thing

EGO_SPEED = 10.0
_HEADWAY = 9.0


@dataclass(frozen=True)
class Stream:
    """One lane of movement.

    Attributes:
        kind: "lane", "tram", "bike" or "walk".
        x: the lane's middle, or the pavement's edges, from the road's middle.
        speed: metres per second along the road; negative comes toward the camera.
        cell: metres of one cell.
        density: the probability that a cell holds a member.
        leads: the camera itself drives in it.
    """

    kind: str
    x: tuple[float, float]
    speed: float
    cell: float
    density: float
    leads: bool = False


def sample_streams(dice: Dice, layout: Layout, ego_lane: int) -> tuple[Stream, ...]:
    """The streams of a street."""
    width, streams = layout.lane_width, []
    busy = dice.between(0.25, 0.8)
    for lane in range(layout.right.lanes):
        x, ego = (lane + 0.5) * width, lane == ego_lane
        speed = EGO_SPEED if ego else EGO_SPEED * dice.between(0.8, 1.3)
        streams.append(Stream("lane", (x, x), speed, 19.0, busy * 0.8, ego))
    for lane in range(layout.left.lanes):
        x, tram = -(lane + 0.5) * width, layout.tram and lane == 0
        streams.append(
            Stream("tram", (x, x), -9.0, 52.0, 0.75)
            if tram
            else Stream("lane", (x, x), -dice.between(8, 13), 19.0, busy)
        )
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        edge = sign * (side.lanes * width + (0.1 if side.parking else -0.15))
        streams.append(Stream("bike", (edge, edge), sign * dice.between(3.5, 5.5), 16.0, 0.30))
        walk = sign * (side.walk[0] + 0.6), sign * (side.walk[1] - 0.4)
        crowd = dice.between(0.10, 0.5)
        for speed in (1.3, -1.3):
            streams.append(Stream("walk", walk, speed * dice.between(0.8, 1.2), 7.0, crowd))
    return tuple(streams)


def members(
    stream: Stream,
    roll: Callable[[int], Dice],
    time: float,
    span: tuple[float, float],
    ego: float,
) -> list[Thing]:
    """Those of a stream between the road positions `span` at `time` seconds.

    Args:
        stream: the stream.
        roll: number of a cell → its dice.
        time: seconds.
        span: positions along the road.
        ego: the camera's position; the stream that it drives in keeps a distance.
    """
    drift = stream.speed * time
    found = []
    first, last = (floor((edge - drift) / stream.cell) for edge in span)
    for cell in range(first, last + 1):
        dice = roll(cell)
        if not dice.chance(stream.density):
            continue
        thing = _member(dice, stream, time)
        slack = max(0.0, stream.cell - thing.near - thing.far - 1.5)
        s = drift + cell * stream.cell + thing.near + dice.unit() * slack
        if stream.leads:
            s += 1.5 * sin(0.35 * time + cell)
            if s - thing.near < ego + _HEADWAY and s + thing.far > ego - _HEADWAY:
                continue
        found.append(thing._replace(s=s))
    return found


def _member(dice: Dice, stream: Stream, time: float) -> Thing:
    turned = stream.speed < 0
    x = dice.between(*stream.x)
    if stream.kind == "walk":
        beat = (time * 1.9 + dice.unit()) % 1.0 * 2
        stride = round((1 - abs(1 - beat)) * (people.STRIDES - 1))
        look = partial(people.pedestrian, dice.integer(12), stride, False)
        return person(dice, look, x, 0.0, KERB_HEIGHT)
    if stream.kind == "bike":
        pedals = (dice.integer(4) + int(time * 3)) % 4
        look = partial(people.cyclist, pedals + 4 * dice.integer(3), True)
        return bike(dice, look, x + dice.between(-0.15, 0.15), 0.0, turned, 1.6)
    x += dice.between(-0.25, 0.25)
    if stream.kind == "tram":
        return _coach(dice, partial(heavy.tram), x, heavy.TRAM_LENGTH, turned)
    kind = dice.weighted(((0.70, "car"), (0.10, "truck"), (0.09, "bus"), (0.11, "motorcycle")))
    if kind == "car":
        return car(dice, x, 0.0, turned)
    if kind == "motorcycle":
        return bike(
            dice, partial(people.motorcyclist, dice.integer(12), turned, True), x, 0.0, turned, 1.6
        )
    if kind == "bus":
        return _coach(dice, partial(heavy.bus), x, heavy.BUS_LENGTH, turned)
    half = heavy.TRUCK_LENGTH / 2
    return Thing(
        partial(heavy.truck, turned), x, 0.0, 0.0, half, half, turned=turned,
        paint=(dice.pick(COACH_COLORS), dice.pick(CARGO_COLORS), WHITE),
        shadow=Shadow(1.2, half, 3.3),
    )  # fmt: skip


def _coach(dice: Dice, mesh: MeshSource, x: float, length: float, turned: bool) -> Thing:
    paint = (dice.pick(COACH_COLORS), dice.pick(COACH_COLORS), WHITE)
    return Thing(
        mesh, x, 0.0, 0.0, length / 2, length / 2, turned=turned, paint=paint,
        shadow=Shadow(1.25, length / 2, 3.0),
    )  # fmt: skip
