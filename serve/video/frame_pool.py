"""The most useful and most different frames of a stream of any length, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self._distances = np.zeros((0, 0), np.float32)

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
        self.statistics, self._candidates = statistics, list(candidates)
        places = np.array([one.descriptor for one in candidates], np.float32)
        self._distances = np.zeros((len(places), len(places)), np.float32)
        for number, place in enumerate(places):
            self._distances[number] = np.linalg.norm(places - place, axis=1)

    def offer(self, candidate: Candidate, keep: Callable[[], str]) -> bool:
        """Take a candidate in if it is worth more than what would go for it.

        Args:
            candidate: without a key.
            keep: stores its picture and returns the key; only called if it is taken.

        Returns:
            whether it was taken.
        """
        known = np.array([other.descriptor for other in self._candidates], np.float32)
        known = known.reshape(len(self._candidates), candidate.descriptor.size)
        row = np.linalg.norm(known - candidate.descriptor, axis=1).astype(np.float32)
        distances = np.pad(self._distances, (0, 1))
        distances[-1, :-1] = distances[:-1, -1] = row
        pool = [*self._candidates, candidate]
        leaves = self._least(pool, distances)
        if leaves == len(pool) - 1:
            return False
        candidate.key = keep()
        if leaves is not None:
            self._dropped(pool[leaves].key)
            del pool[leaves]
            distances = np.delete(np.delete(distances, leaves, 0), leaves, 1)
        self._candidates, self._distances = pool, distances
        return True

    def _least(self, pool: list[Candidate], distances: NDArray[np.float32]) -> int | None:
        """Which candidate should go; None if there is room and all are different."""
        utility = self._utility(pool)
        apart = _to_better(distances, utility)
        same = np.flatnonzero(apart < SAME)
        if same.size:
            return int(same[0])
        return int((utility * apart).argmin()) if len(pool) > self._capacity else None

    def _utility(self, pool: list[Candidate]) -> NDArray[np.float64]:
        return self.statistics.utility(np.array([candidate.scores for candidate in pool]))

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
        utility = self._utility(self._candidates)
        nearest = np.full(len(self._candidates), np.inf)
        chosen: list[tuple[Candidate, float, float]] = []
        while len(chosen) < min(self.budget, len(self._candidates)):
            values = utility * np.where(np.isinf(nearest), 1.0, nearest)
            best = int(values.argmax())
            if nearest[best] < SAME:
                break
            chosen.append((self._candidates[best], float(utility[best]), float(nearest[best])))
            nearest = np.minimum(nearest, self._distances[best])
        return chosen


def _to_better(distances: NDArray[np.float32], utility: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each to the nearest of higher utility; infinite for the best.

    Of equals the earlier one counts as better.
    """
    order = np.argsort(-utility, kind="stable")
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    better = rank[None, :] < rank[:, None]
    return np.asarray(np.where(better, distances, np.inf).min(axis=1), dtype=np.float64)
