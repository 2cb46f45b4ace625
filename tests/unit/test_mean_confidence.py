"""The mean confidence is that of integers, whatever the size and the layout."""

from __future__ import annotations

import numpy as np
import pytest

from cfcontra.runtime.mean_confidence import mean_confidence


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (2160, 3840)])
def test_it_is_the_sum_of_integers_over_their_number(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(200, 256, size, dtype=np.uint8)
    for shown in (pixels, pixels[::2, ::3], np.full(size, 255, np.uint8)):
        exact = int(shown.sum(dtype=np.int64)) / (255 * shown.size)
        assert mean_confidence(shown) == pytest.approx(exact, rel=1e-15)
