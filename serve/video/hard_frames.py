"""`--hard-frames`: the frames that a model is least sure of, as the next target to adapt to."""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.files import atomic_write_text, prepare_output_folder, refusals
from cfcontra.metadata import ModelMetadata
from cfcontra.runtime import FRAME_SCORES
from cfcontra.runtime.mean_confidence import mean_confidence
from cfcontra.visualize import encode_jpeg

from .descriptor import describe, shows_nothing
from .find import without_ending
from .frame_pool import SAME, Candidate, FramePool
from .shape import RgbConverter
from .sink import Segmented

_LOG = logging.getLogger(__name__)
IMAGES, MANIFEST = "images", "manifest.json"
_QUALITY = 95
_MOMENT = 2.0  # seconds of which one frame is enough
_CHANGED = 4 * SAME  # distance that ends a moment before that


class HardFrames:
    """Watches the results of one job and keeps its most useful and most different frames.

    Of every moment of a video the least sure frame becomes a candidate (`FramePool`), at most
    a few per wanted frame, whose pictures wait as files: memory and disk stay bounded.
    `finish` writes `images/*.jpg`, which `cfcontra-adapt --target folder:DIR` takes, and
    `manifest.json`, which says where each frame comes from and how unsure the model was.

    Args:
        folder: for the frames.
        budget: how many are wanted, over all videos of the job.
        metadata: of the model.
        overwrite: whether frames of an earlier job in `folder` may be replaced.

    Raises:
        InputError: the budget is below 1, the folder holds something, or cannot be written.
    """

    def __init__(
        self, folder: Path, budget: int, metadata: ModelMetadata, overwrite: bool = False
    ) -> None:
        if budget < 1:
            raise InputError(f"--budget {budget}: give 1 or more.")
        if not overwrite and any((folder / name).exists() for name in (IMAGES, MANIFEST)):
            raise InputError(
                f"{folder}: holds frames already. Use --overwrite to replace them, or name "
                "another --hard-frames folder."
            )
        prepare_output_folder(folder)
        self.folder, self.budget = folder, budget
        self._metadata = metadata
        self._classes = len(metadata.label_space.classes)
        self._waiting = folder / f".candidates-{secrets.token_hex(4)}"
        self._pool = FramePool(budget, self._drop)
        self._source = ""
        self._best: tuple[Candidate, Segmented] | None = None
        self._began: tuple[float, NDArray[np.float32]] | None = None
        self._to_rgb = RgbConverter()

    def begin(self, source: str) -> None:
        """The frames that follow are of another source.

        Args:
            source: its name, without credentials.
        """
        self._end_moment()
        self._source = source

    def __call__(self, result: Segmented) -> None:
        """Look at one frame."""
        if result.carried or shows_nothing(result.frame.image):
            return
        scores, facts = _unsureness(result)
        self._pool.statistics.add(scores)
        descriptor = describe(result.frame.image, result.mask, self._classes)
        if self._is_new_moment(result, descriptor):
            self._end_moment()
            self._began = (result.frame.seconds, descriptor)
        if self._best is None or self._is_harder(scores, self._best[0].scores):
            facts = {"source": self._source, **_place(result), **facts}
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
            self._pool.offer(candidate, lambda: self._keep(result))

    def _keep(self, result: Segmented) -> str:
        picture = encode_jpeg(self._to_rgb(result.frame.image), _QUALITY)
        key = secrets.token_hex(8)
        with refusals(self.folder):
            self._waiting.mkdir(exist_ok=True)
            (self._waiting / key).write_bytes(picture)
        return key

    def _drop(self, key: str) -> None:
        (self._waiting / key).unlink(missing_ok=True)

    def finish(self) -> int:
        """Write the frames and their manifest; how many there are.

        Raises:
            InputError: the file system refuses.
        """
        self._end_moment()
        chosen = self._pool.select()
        try:
            with refusals(self.folder):
                return self._write(chosen)
        finally:
            self.discard()

    def _write(self, chosen: list[tuple[Candidate, float, float]]) -> int:
        ready = self._waiting / IMAGES
        ready.mkdir(parents=True, exist_ok=True)
        frames: list[dict[str, Any]] = []
        taken: set[str] = set()
        for candidate, utility, novelty in chosen:
            name = _file_name(candidate.facts, taken)
            (self._waiting / candidate.key).replace(ready / name)
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
            "frames": frames,
        }
        images = self.folder / IMAGES
        if images.exists():
            images.replace(self._waiting / "replaced")
        ready.replace(images)
        atomic_write_text(self.folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
        return len(frames)

    def discard(self) -> None:
        """Remove what waits to be chosen."""
        shutil.rmtree(self._waiting, ignore_errors=True)


def _unsureness(result: Segmented) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Scores that are larger where the model is less sure, and the same as facts."""
    if result.scores is None:
        sure = mean_confidence(result.confidence)
        return np.array([1.0 - sure]), {"scores": {FRAME_SCORES[0]: round(sure, 4)}}
    known = {
        name: float(value)
        for name, value in zip(FRAME_SCORES, result.scores, strict=True)
        if np.isfinite(value)
    }
    values = [1.0 - v if name == FRAME_SCORES[0] else v for name, v in known.items()]
    return np.array(values), {"scores": {name: round(v, 4) for name, v in known.items()}}


def _place(result: Segmented) -> dict[str, Any]:
    if result.frame.name:
        return {"picture": result.frame.name}
    return {"frame": result.frame.index, "seconds": round(result.frame.seconds, 3)}


def _file_name(facts: dict[str, Any], taken: set[str]) -> str:
    source = (
        re.sub(r"[^\w.-]+", "-", without_ending(Path(facts["source"])).name).strip("-.") or "frame"
    )
    place = facts["picture"] if "picture" in facts else f"{facts['frame']:07d}"
    stem, number = f"{source}-{place}", 1
    while stem in taken:
        number += 1
        stem = f"{source}-{place}-{number}"
    taken.add(stem)
    return f"{stem}.jpg"
