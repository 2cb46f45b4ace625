"""The most useful and most different frames of a stream of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .neighbours import Neighbours

SAME = 0.02
"""Distance of descriptors below which two frames show the same."""
_LARGEST = 3.0  # standard deviations that an outlier counts for at most
_SPARE = 4  # candidates kept for each frame wanted
_FEWEST = 64


@dataclass
class Candidate:
    """A frame that may be kept.

    Attributes:
        scores: `[S]`: how unsure the model is, in as many ways; larger is less sure.
        descriptor: `[D]`; the Euclidean distance of two says how different frames are.
        facts: what a manifest should say of it.
        key: what finds its picture.
    """

    scores: NDArray[np.float64]
    descriptor: NDArray[np.float32]
    facts: dict[str, Any]
    key: str = ""


@dataclass
class ScoreStatistics:
    """Mean and variance of scores over all frames seen (Welford 1962, Chan et al. 1979).

    Attributes:
        count: frames seen.
        mean: `[S]`.
        squares: sum of squared differences from the mean `[S]`.
    """

    count: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def add(self, scores: NDArray[np.float64]) -> None:
        """Take one frame's scores."""
        if not self.count:
            self.mean, self.squares = np.zeros_like(scores), np.zeros_like(scores)
        self.count += 1
        difference = scores - self.mean
        self.mean = self.mean + difference / self.count
        self.squares = self.squares + difference * (scores - self.mean)

    def utility(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much there is to learn from frames: exp of the mean of their standardised scores.

        1 for an average frame, about 6 for one two standard deviations less sure, 20 at most.

        Args:
            scores: `[N, S]`.
        """
        spread = np.sqrt(self.squares / max(1, self.count))
        standard = (scores - self.mean) / np.where(spread > 0, spread, 1.0)
        mean = (_LARGEST * np.tanh(standard / _LARGEST)).mean(axis=1)
        return np.asarray(np.exp(mean), dtype=np.float64)


class FramePool:
    """Candidates for the `budget` frames that are wanted, several for each.

    When there are too many, the one goes whose place is best taken by a better one: the
    smallest product of its utility and its distance to the nearest candidate of higher
    utility. So frames that show the same leave their most useful one, and the pool stays
    spread over all that was seen, whatever the length of the video.

    Args:
        budget: frames wanted in the end.
        dropped: called with the key of each candidate that goes.
    """

    def __init__(self, budget: int, dropped: Callable[[str], None] = lambda _: None) -> None:
        self.budget = budget
        self.statistics = ScoreStatistics()
        self._capacity = max(_FEWEST, _SPARE * budget)
        self._dropped = dropped
        self._candidates: list[Candidate] = []
        self._scores = np.zeros((0, 0))  # of the candidates `[N, S]`
        self._places = Neighbours()

    def __len__(self) -> int:
        return len(self._candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._candidates)

    def refill(self, candidates: Sequence[Candidate], statistics: ScoreStatistics) -> None:
        """Hold what an earlier pool of the same budget held, to go on as it would have.

        Args:
            candidates: with their keys, in its order.
            statistics: of all frames it had seen.
        """
        self.statistics = statistics
        for candidate in candidates:
            self._hold(candidate)

    def offer(self, candidate: Candidate, keep: Callable[[], str]) -> bool:
        """Take a candidate in if it is worth more than what would go for it.

        Args:
            candidate: without a key.
            keep: stores its picture and returns the key; only called if it is taken.

        Returns:
            whether it was taken.
        """
        self._hold(candidate)
        leaves = self._least()
        if leaves == len(self._candidates) - 1:
            self._let_go(leaves)
            return False
        try:
            candidate.key = keep()
        except BaseException:
            self._let_go(len(self._candidates) - 1)
            raise
        if leaves is not None:
            self._dropped(self._let_go(leaves).key)
        return True

    def _hold(self, candidate: Candidate) -> None:
        self._candidates.append(candidate)
        self._scores = np.vstack(
            (self._scores.reshape(-1, candidate.scores.size), candidate.scores)
        )
        self._places.add(candidate.descriptor)

    def _let_go(self, index: int) -> Candidate:
        self._scores = np.delete(self._scores, index, 0)
        self._places.remove(index)
        return self._candidates.pop(index)

    def _least(self) -> int | None:
        """Which candidate should go; None if there is room and all are different.

        The product of utility and distance to a better one is the smallest where that of utility
        and distance to the nearest of all is: of two that are nearest to each other the less useful
        one has both. So the better ones are looked for where there is a tie alone.
        """
        utility = self.statistics.utility(self._scores)
        nearest = self._places.nearest.astype(np.float64)
        for index in np.flatnonzero(nearest < SAME).tolist():
            if self._to_better(index, utility) < SAME:
                return int(index)
        if len(self._candidates) <= self._capacity:
            return None
        worth = utility * nearest
        least: list[int] = np.flatnonzero(worth == worth.min()).tolist()
        return min(least, key=lambda index: utility[index] * self._to_better(index, utility))

    def _to_better(self, index: int, utility: NDArray[np.float64]) -> float:
        """Distance of one to the nearest of higher utility; infinite for the best.

        Of equals the earlier one counts as better.
        """
        better = utility > utility[index]
        better[:index] |= utility[:index] == utility[index]
        return float(self._places.distances_of(index)[better].min(initial=np.inf))

    def select(self) -> list[tuple[Candidate, float, float]]:
        """The frames to keep, the most valuable first: greedy k-center, weighted by utility.

        The first is the most useful one; each further one has the largest product of
        utility and distance to those already chosen (Gonzalez 1985, with weights). Those that
        show the same as one chosen are left out.

        Returns:
            candidate, utility, and distance to the nearest one chosen before it (infinite
            for the first).
        """
        if not self._candidates:
            return []
        utility = self.statistics.utility(self._scores)
        nearest = np.full(len(self._candidates), np.inf)
        chosen: list[tuple[Candidate, float, float]] = []
        while len(chosen) < min(self.budget, len(self._candidates)):
            values = utility * np.where(np.isinf(nearest), 1.0, nearest)
            best = int(values.argmax())
            if nearest[best] < SAME:
                break
            chosen.append((self._candidates[best], float(utility[best]), float(nearest[best])))
            place = self._candidates[best].descriptor
            nearest = np.minimum(nearest, self._places.distances(place))
        return chosen
