"""`--hard-frames`: the frames that a model is least sure of, as the next target to adapt to."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.files import atomic_write_text, prepare_output_folder, refusals
from cfcontra.metadata import ModelMetadata
from cfcontra.visualize import encode_jpeg

from .candidates import CandidateFolder
from .descriptor import describe, shows_nothing
from .durable import publish
from .frame_facts import file_name, place, unsureness
from .frame_pool import SAME, Candidate, FramePool
from .shape import RgbConverter
from .sink import Segmented
from .source import Mark

IMAGES, MANIFEST = "images", "manifest.json"
_REPLACED = "replaced"
_QUALITY = 95
_MOMENT = 2.0  # seconds of which one frame is enough
_CHANGED = 4 * SAME  # distance that ends a moment before that


class HardFrames:
    """Watches the results of one job and keeps its most useful and most different frames.

    Of every moment of a video the least sure frame becomes a candidate (`FramePool`), at most
    a few per wanted frame, whose pictures wait as files: memory and disk stay bounded.
    `finish` writes `images/*.jpg`, which `cfcontra-adapt --target folder:DIR` takes, and
    `manifest.json`, which says where each frame comes from and how unsure the model was.

    What is known at each checkpoint is kept in `.candidates/`, from where a later process
    goes on to the choice that one process would have made.

    Args:
        folder: for the frames.
        budget: how many are wanted, over all videos of the job.
        metadata: of the model.
        overwrite: whether frames of an earlier job in `folder` may be replaced.
        resume: whether to go on with a job that was interrupted.

    Raises:
        InputError: the budget is below 1, the folder holds something, or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        budget: int,
        metadata: ModelMetadata,
        overwrite: bool = False,
        resume: bool = False,
    ) -> None:
        if budget < 1:
            raise InputError(f"--budget {budget}: give 1 or more.")
        goes_on = resume and self.is_unfinished(folder)
        if not (overwrite or goes_on):
            _refuse_frames(folder, resume)
        prepare_output_folder(folder)
        self.folder, self.budget = folder, budget
        self._metadata = metadata
        self._classes = len(metadata.label_space.classes)
        self._pool = FramePool(budget, lambda key: self._waiting.drop(key))
        self._source = ""
        self._done: list[str] = []
        self._seen: dict[str, int] = {}
        self._best: tuple[Candidate, Segmented | None] | None = None
        self._began: tuple[float, NDArray[np.float32]] | None = None
        self._to_rgb = RgbConverter()
        self._waiting = CandidateFolder(folder, _settings(budget, metadata), resume)
        self._go_on()

    @staticmethod
    def is_unfinished(folder: Path) -> bool:
        """Whether an interrupted job has left something there to go on with."""
        return CandidateFolder.is_unfinished(folder)

    @classmethod
    def sources_done(cls, folder: Path) -> frozenset[str]:
        """Names of the sources that an earlier job has looked at from start to end."""
        if cls.is_unfinished(folder):
            return frozenset(CandidateFolder.state_in(folder).get("done", []))
        try:
            return frozenset(json.loads((folder / MANIFEST).read_text("utf-8"))["sources"])
        except (OSError, ValueError, KeyError, TypeError):
            return frozenset()

    def journal(self, source: str) -> Path:
        """Where to note how far a source came that has no results of its own."""
        return self._waiting.path / hashlib.sha256(source.encode()).hexdigest()[:16]

    def begin(self, source: str) -> None:
        """The frames that follow are of this source.

        Args:
            source: its name, without credentials.
        """
        if source != self._source:  # else it is gone on with, maybe within a moment
            self._end_moment()
        self._source = source

    def end(self) -> None:
        """The source is through."""
        self._done.append(self._source)
        if self._waiting.begun:  # not if all is live: that has no checkpoints
            self._save()

    def checkpoint(self, mark: Mark) -> None:
        """Keep what is known of the frames before `mark`."""
        self._save(mark)

    def _save(self, mark: Mark | None = None) -> None:
        candidates = list(self._pool)
        if self._best is not None:
            candidate, result = self._best
            if result is not None and not candidate.key:
                candidate.key = self._keep(result)
            candidates.append(candidate)
        state = {
            "source": self._source,
            "done": self._done,
            "seen": self._seen,
            "began": None if self._began is None else self._began[0],
            "in a moment": self._best is not None,
        }
        began = None if self._began is None else self._began[1]
        self._waiting.save(mark, state, candidates, self._pool.statistics, began)

    def _go_on(self) -> None:
        loaded = self._waiting.load()
        if loaded is None:
            return
        state, candidates, statistics, began = loaded
        self._source, self._done, self._seen = state["source"], state["done"], state["seen"]
        if state["in a moment"]:
            self._best = candidates.pop(), None
        if began is not None:
            self._began = state["began"], began
        self._pool.refill(candidates, statistics)
        for name in (IMAGES, _REPLACED):
            shutil.rmtree(self._waiting.path / name, ignore_errors=True)

    def __call__(self, result: Segmented) -> None:
        """Look at one frame."""
        if result.frame.index < self._seen.get(self._source, 0):
            return  # before its results were interrupted, which had not come as far
        self._seen[self._source] = result.frame.index + 1
        if result.carried or shows_nothing(result.frame.image):
            return
        scores, facts = unsureness(result)
        self._pool.statistics.add(scores)
        descriptor = describe(result.frame.image, result.mask, self._classes)
        if self._is_new_moment(result, descriptor):
            self._end_moment()
            self._began = (result.frame.seconds, descriptor)
        if self._best is None or self._is_harder(scores, self._best[0].scores):
            facts = {"source": self._source, **place(result), **facts}
            if self._best is not None:
                self._waiting.drop(self._best[0].key)
            self._best = (Candidate(scores, descriptor, facts), result)

    def _is_new_moment(self, result: Segmented, descriptor: NDArray[np.float32]) -> bool:
        if self._began is None or result.frame.name:  # pictures of a folder stand for themselves
            return True
        began, first = self._began
        passed = result.frame.seconds - began
        changed = float(np.linalg.norm(descriptor - first))
        return not 0.0 <= passed <= _MOMENT or changed > _CHANGED

    def _is_harder(self, scores: NDArray[np.float64], than: NDArray[np.float64]) -> bool:
        one, other = self._pool.statistics.utility(np.array([scores, than]))
        return bool(one > other)

    def _end_moment(self) -> None:
        best, self._best, self._began = self._best, None, None
        if best is not None:
            candidate, result = best
            if not self._pool.offer(candidate, lambda: candidate.key or self._keep(result)):
                self._waiting.drop(candidate.key)

    def _keep(self, result: Segmented | None) -> str:
        assert result is not None  # what comes from a checkpoint has been kept
        return self._waiting.keep(encode_jpeg(self._to_rgb(result.frame.image), _QUALITY))

    def finish(self, complete: bool = True) -> int:
        """Write the frames and their manifest; how many there are.

        Of a job that was interrupted before there was any, nothing is written.

        Args:
            complete: whether that was all, so that nothing is kept to go on with.

        Raises:
            InputError: the file system refuses.
        """
        self._end_moment()
        chosen = self._pool.select()
        if chosen or complete:
            with refusals(self.folder):
                self._write(chosen)
        self._waiting.close(keep=not complete)
        return len(chosen)

    def _write(self, chosen: list[tuple[Candidate, float, float]]) -> None:
        ready = self._waiting.path / IMAGES
        ready.mkdir(parents=True, exist_ok=True)
        frames: list[dict[str, Any]] = []
        taken: set[str] = set()
        for candidate, utility, novelty in chosen:
            name = file_name(candidate.facts, taken)
            shutil.copyfile(self._waiting.picture(candidate.key), ready / name)
            frames.append(
                {
                    "file": f"{IMAGES}/{name}",
                    **candidate.facts,
                    "utility": round(utility, 4),
                    "novelty": round(novelty, 4) if np.isfinite(novelty) else None,
                }
            )
        manifest = {
            "model": self._metadata.checkpoint_sha256,
            "scores": list(frames[0]["scores"]) if frames else [],
            "seen": self._pool.statistics.count,
            "budget": self._pool.budget,
            "sources": self._done,
            "frames": frames,
        }
        images = self.folder / IMAGES
        if images.exists():
            images.replace(self._waiting.path / _REPLACED)
        publish(ready, images)
        atomic_write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")

    def discard(self) -> None:
        """Stop; what the last checkpoint needs stays. Does nothing after `finish`."""
        self._waiting.close(keep=True)


def _settings(budget: int, metadata: ModelMetadata) -> dict[str, Any]:
    model = json.dumps(metadata.to_dict(), sort_keys=True, default=str)
    return {"--budget": budget, "the model": hashlib.sha256(model.encode()).hexdigest()}


def _refuse_frames(folder: Path, resume: bool) -> None:
    if not any((folder / name).exists() for name in (IMAGES, MANIFEST)):
        return
    if resume:
        raise InputError(
            f"{folder}: holds the frames of a job that is complete. Name another --hard-frames "
            "folder for the sources it has not seen, or start over with --overwrite."
        )
    raise InputError(
        f"{folder}: holds frames already. Use --overwrite to replace them, --resume to go on with "
        "a job that was interrupted, or name another --hard-frames folder."
    )
