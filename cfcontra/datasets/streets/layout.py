"""The street's cross-section and the way it bends."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from cfcontra.datasets.streets.arrays import Floats
from cfcontra.datasets.streets.dice import Dice

BLOCK = 20.0  # metres of street that are furnished as one
KERB_HEIGHT = 0.12
_PARKING = 2.1


@dataclass(frozen=True)
class Side:
    """One side of the street; distances are metres from the road's middle.

    Attributes:
        lanes: lanes of moving traffic.
        kerb: where the carriageway ends.
        bands: `(from, to, class)` beyond the kerb, "sidewalk" or "terrain".
        walk: the pavement people walk on.
        trees: where trees stand in a row, or None.
        frontage: where gardens, walls and buildings begin.
    """

    lanes: int
    parking: bool
    kerb: float
    bands: tuple[tuple[float, float, str], ...]
    walk: tuple[float, float]
    trees: float | None
    frontage: float


@dataclass(frozen=True)
class Layout:
    """A street: its two sides and its course.

    The course is the lateral offset of the road's middle, a sum of long sines. Seen
    from one point, only the deviation from the tangent there shows, so that a drive
    may go on for ever.
    """

    lane_width: float
    left: Side
    right: Side
    tram: bool
    waves: tuple[tuple[float, float, float], ...]

    def bend(self, ahead: Floats, at: float) -> Floats:
        """Offset in metres of the road `ahead` metres beyond `at`, from its tangent at `at`."""
        offset, slope = self._course(at)
        bend = -(np.float32(offset) + np.float32(slope) * ahead)
        for amplitude, pulse, phase in self.waves:
            start = np.float32((pulse * at + phase) % (2 * pi))
            bend += np.float32(amplitude) * np.sin(np.float32(pulse) * ahead + start)
        return bend

    def slope(self, ahead: Floats, at: float) -> Floats:
        """Derivative of `bend` along the road."""
        slope = np.full(ahead.shape, -self.heading(at), dtype=np.float32)
        for amplitude, pulse, phase in self.waves:
            start = np.float32((pulse * at + phase) % (2 * pi))
            slope += np.float32(amplitude * pulse) * np.cos(np.float32(pulse) * ahead + start)
        return slope

    def heading(self, s: float) -> float:
        """Tangent of the road at `s`, in metres sideways per metre."""
        return self._course(s)[1]

    def _course(self, s: float) -> tuple[float, float]:
        offset = sum(a * sin(p * s + f) for a, p, f in self.waves)
        slope = sum(a * p * cos(p * s + f) for a, p, f in self.waves)
        return offset, slope


def _side(dice: Dice, lane_width: float, lanes: int) -> Side:
    parking = dice.chance(0.6)
    kerb = lanes * lane_width + (_PARKING if parking else 0.35)
    pavement, verge = dice.between(2.0, 4.0), dice.between(1.4, 3.5)
    kind = dice.integer(3)
    if kind == 0:  # a grass verge with trees, then the pavement
        bands = [
            (kerb, kerb + verge, "terrain"),
            (kerb + verge, kerb + verge + pavement, "sidewalk"),
        ]
        trees: float | None = kerb + verge * 0.5
    elif kind == 1:  # the pavement, then a verge
        bands = [
            (kerb, kerb + pavement, "sidewalk"),
            (kerb + pavement, kerb + pavement + verge, "terrain"),
        ]
        trees = kerb + pavement + verge * 0.5 if dice.chance(0.6) else None
    else:
        pavement += 1.2
        bands = [(kerb, kerb + pavement, "sidewalk")]
        trees = kerb + 0.9 if dice.chance(0.5) else None
    walk = next((low, high) for low, high, label in bands if label == "sidewalk")
    return Side(lanes, parking, kerb, tuple(bands), walk, trees, bands[-1][1])


def sample_layout(dice: Dice) -> Layout:
    lane_width = dice.between(3.1, 3.6)
    right_lanes = dice.weighted(((0.7, 1), (0.3, 2)))
    left_lanes = dice.weighted(((0.7, 1), (0.3, 2)))
    tram = dice.chance(0.16)
    waves = []
    for shortest, longest in ((170.0, 300.0), (350.0, 800.0)):
        length = dice.between(shortest, longest)
        pulse = 2 * pi / length
        sharpest = dice.between(0.0, 1 / 280.0)
        waves.append((sharpest / pulse**2, pulse, dice.between(0, 2 * pi)))
    return Layout(
        lane_width,
        _side(dice, lane_width, left_lanes),
        _side(dice, lane_width, right_lanes),
        tram,
        tuple(waves),
    )
