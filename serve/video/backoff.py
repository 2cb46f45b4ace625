"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST, LONGEST = 0.5, 30.0


def delays(rng: random.Random, first: float = FIRST, longest: float = LONGEST) -> Iterator[float]:
    """Seconds before each further attempt: doubling up to `longest`, less up to a half by chance.

    The jitter keeps many runners that lost the same recorder from returning all at once.
    """
    delay = first
    while True:
        yield delay * rng.uniform(0.5, 1.0)
        delay = min(longest, 2 * delay)
