"""The report of one run, from what the run left in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from cfcontra.checkpoint import load_checkpoint
from cfcontra.config import flatten, read_yaml
from cfcontra.datasets import SegmentationDataset, open_dataset
from cfcontra.errors import InputError
from cfcontra.files import atomic_path, atomic_write_text
from cfcontra.runtime import Backend
from cfcontra.runtime.torch_backend import TorchBackend

from . import page
from .data import labels_of, usable_pixels
from .evaluate import evaluate_backend
from .evaluate_command import percent
from .feature_map import ClassPoints, class_means, draw_feature_map, labels_where
from .methods.contrast import Contrast
from .module import AdaptationModule
from .plain_frames import plain_frames
from .projection_head import ProjectionHead
from .recipe import Recipe
from .report import ReportDomain, ReportRun, write_report
from .settings import ContrastSettings

REPORT = "report.html"
_DATA, _BANKS = "run.yaml", "banks.pt"
_SHOWN, _MAPPED, _SHARED = 3, 12, 6  # frames: in pictures, in feature maps, for class shares


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
    atomic_write_text(folder / _DATA, yaml.safe_dump(data.__dict__, sort_keys=False))


def note_banks(folder: Path, module: AdaptationModule) -> None:
    """Keep a run's projection head and prototype banks, where it has them."""
    for term in module.method.terms:
        if isinstance(term, Contrast):
            with atomic_path(folder / _BANKS) as temporary:
                torch.save(term.state_dict(), temporary)


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
    if not (folder / "model.pt").is_file() or not (folder / _DATA).is_file():
        raise InputError(f"{folder}: no finished run (it needs model.pt and {_DATA}).")
    data = RunData(**(read_yaml(folder / _DATA) | changed))
    recipe = read_yaml(folder / "recipe.yaml")
    after = TorchBackend(load_checkpoint(folder / "model.pt"), device, threads)
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
        maps = _feature_maps(folder, recipe, before, after, source, target)
        parts.append(f'<h2>Class features</h2><div class="curves">{maps}</div>')
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


def _feature_maps(
    folder: Path,
    recipe: dict[str, Any],
    before: TorchBackend | None,
    after: TorchBackend,
    source: SegmentationDataset,
    target: SegmentationDataset,
) -> str:
    space, preprocessing = after.metadata.label_space, after.metadata.preprocessing
    frames = {
        "source": plain_frames(source, preprocessing, _MAPPED, labels_of),
        "target": plain_frames(target, preprocessing, _MAPPED, usable_pixels),
    }
    maps = []
    for title, backend in (("before", before), ("after", after)):
        if backend is not None:
            points = _points(backend, frames, None)
            maps.append(draw_feature_map(f"{title}: features", points, space))
    if (folder / _BANKS).is_file():
        settings = ContrastSettings(**recipe["adapt"]["contrast"])
        state = torch.load(folder / _BANKS, map_location="cpu", weights_only=True)
        head = ProjectionHead(
            after.network.feature_channels, settings.head, settings.dimension
        ).eval()
        head.load_state_dict(
            {k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")}
        )
        points = _points(after, frames, head)
        for domain in ("source", "target"):
            seen = state[f"{domain}_bank.seen"]
            points.append(
                ClassPoints(
                    f"{domain} prototype",
                    state[f"{domain}_bank.prototypes"][seen],
                    seen.nonzero()[:, 0],
                )
            )
        maps.append(draw_feature_map("after: projected, with the banks", points, space))
    return "".join(maps)


@torch.inference_mode()
def _points(
    backend: TorchBackend, frames: dict[str, tuple[Tensor, Tensor]], head: ProjectionHead | None
) -> list[ClassPoints]:
    space = backend.metadata.label_space
    points = []
    for domain, (images, ids) in frames.items():
        features, predicted = [], []
        for part in torch.split(images, 4):
            output = backend.forward(part)
            features.append(output.features if head is None else _projected(head, output.features))
            classes = output.logits.argmax(dim=1, keepdim=True).float()
            predicted.append(F.interpolate(classes, size=ids.shape[1:], mode="nearest").long())
        labels = ids.long()
        if domain == "target":
            labels = labels_where(labels, torch.cat(predicted)[:, 0])
        points.append(class_means(domain, torch.cat(features), labels, space.num_classes))
    return points


def _projected(head: ProjectionHead, features: Tensor) -> Tensor:
    rows: Tensor = head(features)
    count, _, height, width = features.shape
    return rows.view(count, height, width, -1).permute(0, 3, 1, 2)
