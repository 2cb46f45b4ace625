"""Where candidates for hard frames wait on the disk, for this process or a later one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.files import refusals

from .frame_pool import Candidate, ScoreStatistics
from .memory import Memory
from .source import Mark
from .work import WorkFolder

_FOLDER, _STATE = ".candidates", "hard-frames"


class CandidateFolder:
    """Their pictures and, as of the last checkpoint, all that is known of them.

    A picture goes when nobody needs it any more: neither who asks nor the last checkpoint.

    Args:
        folder: of the hard frames; the candidates' is in it.
        settings: what must be the same to go on; plain data.
        resume: whether to go on with what an interrupted job left.

    Attributes:
        path: the candidates' own folder.

    Raises:
        InputError: what `WorkFolder` says.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], resume: bool) -> None:
        self.path = folder / _FOLDER
        self._work = WorkFolder(self.path, settings, resume, keep=True)
        self._needed: set[str] = set()

    @staticmethod
    def is_unfinished(folder: Path) -> bool:
        """Whether an interrupted job has left something to go on with."""
        return WorkFolder.can_resume(folder / _FOLDER)

    @property
    def begun(self) -> bool:
        """Whether there has been a checkpoint."""
        return self._work.mark is not None

    @staticmethod
    def state_in(folder: Path) -> Mapping[str, Any]:
        """What an interrupted job said at its last checkpoint."""
        found: Mapping[str, Any] = WorkFolder.states_in(folder / _FOLDER).get(_STATE, {})
        return found

    def keep(self, picture: bytes) -> str:
        """Store a JPEG; the key that finds it.

        Raises:
            InputError: the file system refuses.
        """
        key = secrets.token_hex(8)
        with refusals(self.path):
            self.picture(key).write_bytes(picture)
        return key

    def picture(self, key: str) -> Path:
        """The file of a key."""
        return self.path / f"{key}.jpg"

    def drop(self, key: str) -> None:
        """A candidate is none any more; one that was never kept has no key."""
        if key and key not in self._needed:
            self.picture(key).unlink(missing_ok=True)

    def save(
        self,
        mark: Mark | None,
        state: Mapping[str, Any],
        candidates: Sequence[Candidate],
        statistics: ScoreStatistics,
        began: NDArray[np.float32] | None,
    ) -> None:
        """Keep it all for a later process.

        Args:
            mark: how far the source under way was looked at; None as at the last call.
            state: plain data.
            candidates: with their keys, in order.
            statistics: of the scores of all frames seen.
            began: descriptor of the first frame of the moment under way, if any.

        Raises:
            InputError: the disk is full or refuses.
        """
        mark = mark or self._work.mark
        assert mark is not None
        about = [{"key": one.key, "facts": one.facts} for one in candidates]
        memory = _memory(candidates, statistics, began)
        self._work.record(mark, {_STATE: {**state, "candidates": about}}, memory)
        before, self._needed = self._needed, {one.key for one in candidates}
        for key in before - self._needed:
            self.drop(key)

    def load(
        self,
    ) -> tuple[dict[str, Any], list[Candidate], ScoreStatistics, NDArray[np.float32] | None] | None:
        """What `save` was last given, None for a new start."""
        state, memory = self._work.state_of(_STATE), self._work.memory
        if state is None:
            return None
        scores, descriptors = memory.get("scores", ()), memory.get("descriptors", ())
        candidates = [
            Candidate(unsure, descriptor, one["facts"], one["key"])
            for unsure, descriptor, one in zip(
                scores, descriptors, state["candidates"], strict=True
            )
        ]
        statistics = ScoreStatistics(int(memory["count"]), memory["mean"], memory["squares"])
        self._needed = {one.key for one in candidates}
        self._tidy()
        return state, candidates, statistics, memory.get("began")

    def _tidy(self) -> None:
        """Remove what a process that died left behind the checkpoint."""
        for path in self.path.glob("*.jpg"):
            if path.stem not in self._needed:
                path.unlink()

    def close(self, keep: bool) -> None:
        """Does nothing the second time.

        Args:
            keep: whether what the last checkpoint needs stays; else all goes.
        """
        self._work.close(keep)


def _memory(
    candidates: Sequence[Candidate],
    statistics: ScoreStatistics,
    began: NDArray[np.float32] | None,
) -> Memory:
    memory: dict[str, NDArray[Any]] = {
        "count": np.array(statistics.count),
        "mean": statistics.mean,
        "squares": statistics.squares,
    }
    if candidates:
        memory["scores"] = np.array([one.scores for one in candidates])
        memory["descriptors"] = np.array([one.descriptor for one in candidates])
    return memory if began is None else {**memory, "began": began}
