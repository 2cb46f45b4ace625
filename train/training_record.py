"""What a model file says of its training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from cfcontra import __version__
from cfcontra.licences import data_terms, weights_terms
from cfcontra.metrics import Scores

from .recipe import Stage
from .request import RunRequest


def training_record(
    request: RunRequest, stage: Stage, scores: Scores | None, before: dict[str, Any]
) -> dict[str, Any]:
    """What goes into the model file: no path and no host, only what the data is called.

    Args:
        before: the record of the model that the run began with; empty without one.
    """
    record: dict[str, Any] = {
        "stage": request.stage,
        "method": stage.method,
        "style": stage.style.name,
        "steps": stage.steps,
        "seed": request.recipe.seed,
        "source": public_name(request.source),
        "licences": _licences(request, before),
        "versions": {"cfcontra": __version__, "torch": torch.__version__.split("+")[0]},
    }
    if request.target is not None:
        record["target"] = public_name(request.target)
    if scores is not None and request.val is not None:
        record["val"] = {"data": public_name(request.val), **scores.to_dict()}
    return record


def _licences(request: RunRequest, before: dict[str, Any]) -> dict[str, Any]:
    """Terms of the weights at the very beginning, and of all data since."""
    model, earlier = request.recipe.model, before.get("licences")
    weights, data = "not stated by the model that the run began with", dict[str, str]()
    if request.init is None:
        weights = weights_terms(model.name, model.weights)
    elif isinstance(earlier, dict) and isinstance(earlier.get("data"), dict):
        weights, data = str(earlier.get("weights")), dict(earlier["data"])
    for spec in (request.source, request.target):
        if spec is not None:
            data[public_name(spec).partition(",")[0]] = data_terms(spec)
    return {"weights": weights, "data": data}


def public_name(spec: str) -> str:
    """A data spec without the folders above the data: `folder:/a/b/day` → `folder:day`."""
    kind, _, place = spec.partition(":")
    path, options = re.match(r"(.*?)((?:,[a-z_]+=[^,]*)*)$", place, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{kind}:{Path(path).name}{options}"
