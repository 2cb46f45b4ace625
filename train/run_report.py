"""The report of one run, from what the run left in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cfcontra.checkpoint import load_checkpoint
from cfcontra.config import flatten, read_yaml
from cfcontra.datasets import SegmentationDataset, open_dataset
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_text
from cfcontra.runtime import Backend
from cfcontra.runtime.torch_backend import TorchBackend

from . import page
from .evaluate import evaluate_backend
from .evaluate_command import percent
from .recipe import Recipe
from .report import ReportDomain, ReportRun, write_report
from .run_features import feature_maps, run_prototypes

REPORT = "report.html"
DATA = "run.yaml"
_SHOWN, _SHARED = 3, 6  # frames: in pictures, for class shares


@dataclass(frozen=True)
class RunData:
    """What a run worked on; each a data spec, or the path of a model.

    Attributes:
        source: labelled source.
        target: target, or None.
        val: labelled data for reporting, or None.
        init: `model.pt` it began with, or None.
    """

    source: str
    target: str | None = None
    val: str | None = None
    init: str | None = None


def note_data(folder: Path, data: RunData) -> None:
    """Write down what a run works on, for its report."""
    atomic_write_text(folder / DATA, yaml.safe_dump(data.__dict__, sort_keys=False))


def write_run_report(
    folder: Path, changed: dict[str, str], device: str = "auto", threads: int | None = None
) -> Path:
    """Write `report.html` into a run's folder.

    Args:
        folder: of a finished run.
        changed: fields of `RunData` to take instead of what was noted, where data has moved.

    Returns:
        The file.

    Raises:
        InputError: not the folder of a finished run, or data that cannot be read.
    """
    if not (folder / "model.pt").is_file() or not (folder / DATA).is_file():
        raise InputError(f"{folder}: no finished run (it needs model.pt and {DATA}).")
    data = RunData(**(read_yaml(folder / DATA) | changed))
    recipe = read_yaml(folder / "recipe.yaml")
    trained = load_checkpoint(folder / "model.pt")
    after = TorchBackend(trained, device, threads)
    training = after.metadata.training
    before = None
    if data.init is not None:
        before = TorchBackend(load_checkpoint(Path(data.init)), device, threads)
    space = after.metadata.label_space
    source = open_dataset(data.source, space)
    target = None if data.target is None else open_dataset(data.target, space, labelled=False)
    val = None if data.val is None else open_dataset(data.val, space)
    domains = [_domain("source", data.source, source)]
    if target is not None and data.target is not None:
        domains.insert(0, _domain("target", data.target, target))
    if val is not None and data.val is not None:
        domains.insert(0, _domain("validation", data.val, val))
    parts = ["<h2>Classes</h2>"]
    if val is not None:
        parts.append(_class_table(before, after, val))
    elif target is not None:
        parts.append(_share_table(before, after, target))
    if target is not None:
        prototypes = run_prototypes(folder, recipe, trained)
        parts.append("<h2>Class features</h2>")
        parts.append(feature_maps(prototypes, before, after, source, target))
    parts.append("<h2>Settings that differ from the defaults</h2>")
    parts.append(_settings(recipe, training.get("stage", "")))
    path = folder / REPORT
    write_report(
        path,
        f"{folder.name}: {training.get('method', '')}",
        _record(training),
        before,
        after,
        domains,
        [ReportRun("curves", folder / "logs" / "metrics.csv")],
        "".join(parts),
    )
    return path


def _domain(role: str, spec: str, dataset: SegmentationDataset) -> ReportDomain:
    frames = np.linspace(0, len(dataset) - 1, min(len(dataset), _SHOWN)).round().astype(int)
    return ReportDomain(f"{role}: {spec}", dataset, frames.tolist())


def _record(training: dict[str, Any]) -> list[list[str]]:
    plain = {key: value for key, value in flatten(training).items() if ".class_iou." not in key}
    rows = [[key, str(value)] for key, value in plain.items() if "candidates" not in key]
    return [["", "run"], *rows]


def _settings(recipe: dict[str, Any], stage: str) -> str:
    other = {"train": "adapt", "adapt": "train"}.get(stage)
    given = {key: value for key, value in flatten(recipe).items() if key.split(".")[0] != other}
    default = flatten(Recipe().to_dict())
    rows = [[key, str(value)] for key, value in given.items() if _other(value, default.get(key))]
    return page.table([["setting", "value"], *rows])


def _other(one: Any, two: Any) -> bool:
    return (list(one) if isinstance(one, tuple) else one) != (
        list(two) if isinstance(two, tuple) else two
    )


def _class_table(before: Backend | None, after: Backend, val: SegmentationDataset) -> str:
    found = [evaluate_backend(backend, val) for backend in (before, after) if backend]
    names = ["before", "after"] if before else ["after"]
    rows = [
        [name, *(percent(scores.class_iou[name]) for scores in found)]
        for name in after.metadata.label_space.classes
    ]
    rows.append(["mIoU", *(percent(scores.miou, 2) for scores in found)])
    return page.table([["IoU on the validation data", *names], *rows])


def _share_table(before: Backend | None, after: Backend, target: SegmentationDataset) -> str:
    columns, heading = [], ["predicted on the target"]
    for name, backend in (("before", before), ("after", after)):
        if backend is None:
            continue
        heading += [f"{name}: % of pixels", f"{name}: mean confidence"]
        columns.append(_shares(backend, target))
    rows = [
        [name, *(text for column in columns for text in column[index])]
        for index, name in enumerate(after.metadata.label_space.classes)
    ]
    return page.table([heading, *rows])


def _shares(backend: Backend, dataset: SegmentationDataset) -> list[tuple[str, str]]:
    pixels, sure = np.zeros(256), np.zeros(256)
    frames = np.linspace(0, len(dataset) - 1, min(len(dataset), _SHARED)).round().astype(int)
    for index in frames:
        found = backend.predict(dataset[int(index)].image[None])
        mask = found.mask.ravel()
        pixels += np.bincount(mask, minlength=256)
        sure += np.bincount(mask, weights=found.confidence.ravel() / 255.0, minlength=256)
    means = np.divide(sure, pixels, out=np.full(256, np.nan), where=pixels > 0)
    shares = pixels / pixels.sum()
    count = backend.metadata.label_space.num_classes
    return [(percent(shares[i], 2), percent(means[i])) for i in range(count)]
