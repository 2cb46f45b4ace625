"""What is said of a hard frame: how unsure the model was, where it is from, its file's name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.runtime import FRAME_SCORES
from cfcontra.runtime.mean_confidence import mean_confidence

from .find import without_ending
from .sink import Segmented


def unsureness(result: Segmented) -> tuple[NDArray[np.float64], dict[str, Any]]:
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


def place(result: Segmented) -> dict[str, Any]:
    """Where in its source a frame is."""
    if result.frame.name:
        return {"picture": result.frame.name}
    return {"frame": result.frame.index, "seconds": round(result.frame.seconds, 3)}


def file_name(facts: dict[str, Any], taken: set[str]) -> str:
    """A name for a frame's picture that is not `taken`; now it is."""
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
