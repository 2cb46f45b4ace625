from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest

from cfcontra.errors import InputError
from cfcontra.preprocessing import Preprocessing


@pytest.mark.parametrize("work_size", [(64, 96), (33, 200), (512, 32)])
@pytest.mark.parametrize("size", [(1, 1), (1, 999), (999, 1), (540, 960), (97, 31), (64, 96)])
def test_scaled_size_against_exact_fractions(
    work_size: tuple[int, int], size: tuple[int, int]
) -> None:
    scale = min(Fraction(work_size[0], size[0]), Fraction(work_size[1], size[1]))
    expected = tuple(max(1, floor(scale * side + Fraction(1, 2))) for side in size)
    got = Preprocessing(work_size).scaled_size(*size)
    assert got == expected
    assert got[0] <= work_size[0] and got[1] <= work_size[1]


def test_bad_values_are_refused() -> None:
    with pytest.raises(InputError, match="positive"):
        Preprocessing((0, 5))
    with pytest.raises(InputError, match="std"):
        Preprocessing((5, 5), std=(1, 0, 1))


def test_round_trip() -> None:
    one = Preprocessing((10, 20), (0.1, 0.2, 0.3), (1, 2, 3))
    assert Preprocessing.from_dict(one.to_dict(), "x") == one
