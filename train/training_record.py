"""What a model file says of its training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from cfcontra import __version__
from cfcontra.metrics import Scores

from .recipe import Stage
from .request import RunRequest


def training_record(request: RunRequest, stage: Stage, scores: Scores | None) -> dict[str, Any]:
    """What goes into the model file: no path and no host, only what the data is called."""
    record: dict[str, Any] = {
        "stage": request.stage,
        "method": stage.method,
        "style": stage.style.name,
        "steps": stage.steps,
        "seed": request.recipe.seed,
        "source": public_name(request.source),
        "versions": {"cfcontra": __version__, "torch": torch.__version__.split("+")[0]},
    }
    if request.target is not None:
        record["target"] = public_name(request.target)
    if scores is not None and request.val is not None:
        record["val"] = {"data": public_name(request.val), **scores.to_dict()}
    return record


def public_name(spec: str) -> str:
    """A data spec without the folders above the data: `folder:/a/b/day` → `folder:day`."""
    kind, _, place = spec.partition(":")
    path, options = re.match(r"(.*?)((?:,[a-z_]+=[^,]*)*)$", place, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{kind}:{Path(path).name}{options}"
