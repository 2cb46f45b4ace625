"""What `cfcontra-eval` takes, prints and writes."""

from __future__ import annotations

import argparse
import json
import re
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfcontra.command import Parser, console, set_up_logging
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_bytes, atomic_write_text, prepare_output

if TYPE_CHECKING:
    from cfcontra.datasets import SegmentationDataset
    from cfcontra.runtime import Backend

    from .evaluate import Evaluation
    from .unlabelled import Impression


def evaluate_command(argv: list[str]) -> None:
    """Score a model as the arguments say."""
    arguments = _parse(argv)
    set_up_logging(arguments)
    for output in (arguments.json, arguments.html, arguments.confusion):
        if output is not None:
            prepare_output(output, arguments.overwrite)
    if arguments.unlabelled and arguments.confusion is not None:
        raise InputError("--confusion: there is no confusion matrix without labels.")

    from cfcontra.datasets import open_dataset
    from cfcontra.runtime import open_backend
    from cfcontra.runtime.averaged import AveragedBackend, Averaging

    averaging = Averaging(arguments.scales, arguments.flip, arguments.window, arguments.overlap)
    backend = open_backend(arguments.model, arguments.device, arguments.threads, arguments.runtime)
    if not averaging.changes_nothing:
        backend = AveragedBackend(backend, averaging)
    space = backend.metadata.label_space
    dataset = open_dataset(arguments.data, space, labelled=not arguments.unlabelled)
    console.print(f"{arguments.data} · {backend.runtime}", soft_wrap=True, highlight=False)
    if arguments.unlabelled:
        _look(arguments, backend, dataset)
    else:
        _score(arguments, backend, dataset)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser("eval", "Score a model on labelled data, or look at it without labels.")
    parser.add_argument("model", type=Path, metavar="MODEL", help=".pt, .onnx or .engine")
    parser.add_argument("--data", required=True, metavar="SPEC", help="frames to score it on")
    parser.add_argument(
        "--unlabelled", action="store_true", help="label-free scores; no label is opened"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the scores here")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write a page")
    parser.add_argument(
        "--confusion", type=Path, metavar="FILE.png", help="also draw the confusion matrix"
    )
    parser.add_argument(
        "--scales", type=_scales, default=(1.0,), metavar="S,…", help="average over these sizes"
    )
    parser.add_argument("--flip", action="store_true", help="average with the mirrored frame")
    parser.add_argument(
        "--window", type=_window, metavar="HxW", help="average over windows of the frame"
    )
    parser.add_argument(
        "--overlap", type=float, default=1 / 3, metavar="SHARE", help="of windows (default: 1/3)"
    )
    parser.add_device()
    parser.add_runtime()
    parser.add_overwrite()
    return parser.parse_args(argv)


def _scales(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--scales {text}: give numbers, such as 0.75,1,1.25.") from error


def _window(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[x×](\d+)", text)
    if found is None:
        raise InputError(f"--window {text}: give height and width in pixels, such as 512x1024.")
    return int(found[1]), int(found[2])


def _score(arguments: argparse.Namespace, backend: Backend, dataset: SegmentationDataset) -> None:
    from rich.table import Table

    from .evaluate import evaluate_model
    from .progress import reported

    with reported("evaluate", len(dataset), arguments.quiet) as report:
        found = evaluate_model(backend, dataset, report)
    table = Table("class", "IoU")
    for name, value in found.scores.class_iou.items():
        table.add_row(name, percent(value))
    table.add_section()
    for name, text in summary(found):
        table.add_row(name, text)
    console.print(table)
    if found.conditions:
        table = Table("condition", "mIoU", "frames")
        for name, scores in found.conditions.items():
            table.add_row(name, percent(scores.miou, 2), str(scores.frames))
        console.print(table)
    _write(arguments, backend, found.to_dict())
    if arguments.confusion is not None:
        from cfcontra.visualize import encode_png

        from .confusion import draw_confusion

        picture = draw_confusion(found.confusion, backend.metadata.label_space.classes)
        atomic_write_bytes(arguments.confusion, encode_png(picture))
    if arguments.html is not None:
        from .evaluate_page import write_scores

        about = f"{arguments.model.name} on {arguments.data} · {backend.runtime}"
        write_scores(arguments.html, about, found, backend.metadata.label_space)


def _look(arguments: argparse.Namespace, backend: Backend, dataset: SegmentationDataset) -> None:
    from rich.table import Table

    from .progress import reported
    from .unlabelled import look

    with reported("look", len(dataset), arguments.quiet) as report:
        found = look(backend, dataset, report)
    table = Table("class", "share of pixels", "mean confidence")
    for name, share, confidence in class_rows(found):
        table.add_row(name, share, confidence)
    table.add_section()
    for name, value in found.scores.items():
        table.add_row(name, f"{value:.4f}", "")
    console.print(table)
    _write(arguments, backend, found.to_dict())
    if arguments.html is not None:
        from .evaluate_page import write_impression

        about = f"{arguments.model.name} on {arguments.data}, without labels · {backend.runtime}"
        write_impression(arguments.html, about, found, backend.metadata.label_space)


def _write(arguments: argparse.Namespace, backend: Backend, content: dict[str, Any]) -> None:
    if arguments.json is not None:
        content = {"data": arguments.data, **backend.describe(), **content}
        atomic_write_text(arguments.json, json.dumps(content, indent=2) + "\n")


def percent(value: float, digits: int = 1) -> str:
    """0–1 in per cent; a dash where there is none."""
    return "–" if isnan(value) else f"{100 * value:.{digits}f}"


def summary(found: Evaluation) -> list[tuple[str, str]]:
    """The figures over all classes by name."""
    subsets = [(f"mIoU, {name}", percent(value, 2)) for name, value in found.subsets.items()]
    return [
        ("mIoU", percent(found.scores.miou, 2)),
        *subsets,
        ("pixel accuracy", percent(found.scores.pixel_accuracy, 2)),
        ("calibration error (ECE)", percent(found.calibration.ece, 2)),
    ]


def class_rows(found: Impression) -> list[tuple[str, str, str]]:
    """Class, share of the pixels and mean confidence in per cent."""
    return [
        (name, percent(share, 2), percent(found.class_confidence[name]))
        for name, share in found.class_share.items()
    ]
