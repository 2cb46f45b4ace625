"""A run's report: one HTML file with figures, curves and pictures, nothing beside it."""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets import SegmentationDataset
from cfcontra.files import atomic_write_text
from cfcontra.label_space import LabelSpace
from cfcontra.runtime import Backend
from cfcontra.visualize import colorize, encode_jpeg, encode_png

_CSS = """
:root { color-scheme: light dark; --line: #8884; --accent: #2b7de9; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: .5rem; margin-bottom: .5rem; }
.row img { width: 100%; display: block; image-rendering: auto; border-radius: 4px; }
.row span { font-size: .85rem; opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 1rem 0; }
.legend i { display: inline-block; width: 1em; height: 1em; border-radius: 3px; margin-right: .4em;
  vertical-align: -2px; border: 1px solid #8888; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
svg text { font-size: 11px; fill: currentColor; opacity: .8; }
@media (max-width: 45rem) { .row { grid-template-columns: repeat(2, 1fr); } }
"""


@dataclass(frozen=True)
class ReportDomain:
    """A domain whose pictures the report shows.

    Attributes:
        title: such as `target: streets:dusk`.
        dataset: labelled frames.
        frames: which of them to show.
    """

    title: str
    dataset: SegmentationDataset
    frames: Sequence[int]


@dataclass(frozen=True)
class ReportRun:
    """A run whose curves the report shows: its title and its `logs/metrics.csv`."""

    title: str
    log: Path


def write_report(
    path: Path,
    title: str,
    table: list[list[str]],
    before: Backend,
    after: Backend,
    domains: Sequence[ReportDomain],
    runs: Sequence[ReportRun],
) -> None:
    """Write the report, whole or not at all.

    Args:
        table: rows of text, the first is the heading.
        before, after: the models whose predictions stand side by side.

    Raises:
        InputError: the file cannot be written.
    """
    label_space = after.metadata.label_space
    pictures = "".join(_domain(domain, before, after) for domain in domains)
    curves = "".join(_curves(run) for run in runs)
    body = (
        f"<h1>{html.escape(title)}</h1>{_table(table)}"
        f"<h2>Pictures</h2>{_legend(label_space)}{pictures}<h2>Curves</h2>{curves}"
    )
    atomic_write_text(
        path,
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style><body>{body}</body></html>\n",
    )


def _table(rows: list[list[str]]) -> str:
    heading, *lines = rows
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heading)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _legend(label_space: LabelSpace) -> str:
    items = "".join(
        f'<span><i style="background:rgb{color}"></i>{html.escape(name)}</span>'
        for name, color in zip(label_space.classes, label_space.colors, strict=True)
    )
    return f'<div class="legend">{items}</div>'


def _domain(domain: ReportDomain, before: Backend, after: Backend) -> str:
    space = after.metadata.label_space
    rows = []
    for index in domain.frames:
        sample = domain.dataset[index]
        assert sample.label is not None
        shown = [
            ("input", _jpeg(sample.image)),
            ("truth", _png(colorize(sample.label, space))),
            ("before", _png(colorize(before.predict(sample.image[None]).mask[0], space))),
            ("after", _png(colorize(after.predict(sample.image[None]).mask[0], space))),
        ]
        cells = "".join(
            f'<div><img src="{source}" alt="{name}"><span>{name}</span></div>'
            for name, source in shown
        )
        rows.append(f'<div class="row">{cells}</div>')
    return f"<h3>{html.escape(domain.title)}</h3>" + "".join(rows)


def _jpeg(image: NDArray[np.uint8]) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image)).decode()


def _png(image: NDArray[np.uint8]) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(image)).decode()


def read_curves(log: Path) -> dict[str, list[tuple[int, float]]]:
    """Curves of a run's CSV log: name → (step, value) points.

    Where a run was resumed, the parts lie beside the log; what was done twice counts once.
    """
    curves: dict[str, dict[int, float]] = {}
    for part in sorted(log.parent.glob(f"{log.stem}*{log.suffix}")):
        with part.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                step = int(row["step"])
                for name, text in row.items():
                    if text and name not in {"step", "epoch"}:
                        curves.setdefault(name, {})[step] = float(text)
    return {name: sorted(points.items()) for name, points in curves.items()}


def _curves(run: ReportRun) -> str:
    plots = "".join(
        _plot(name, points)
        for name, points in sorted(read_curves(run.log).items())
        if len(points) > 1
    )
    return f'<h3>{html.escape(run.title)}</h3><div class="curves">{plots}</div>'


def _plot(name: str, points: list[tuple[int, float]]) -> str:
    width, height, pad = 320, 160, 24
    steps = np.array([step for step, _ in points], dtype=float)
    values = np.array([value for _, value in points])
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if not len(values):
        return ""
    low, high = float(values.min()), float(values.max())
    xs = pad + (steps - steps[0]) / max(float(np.ptp(steps)), 1.0) * (width - 2 * pad)
    ys = height - pad - (values - low) / max(high - low, 1e-12) * (height - 2 * pad)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(name)}">'
        f'<polyline points="{line}" fill="none" stroke="var(--accent)" stroke-width="1.5"/>'
        f'<text x="6" y="14">{html.escape(name)}</text>'
        f'<text x="6" y="{height - 6}">{low:.4g} – {high:.4g}, last {values[-1]:.4g}</text>'
        f'<text x="{width - 6}" y="{height - 6}" text-anchor="end">'
        f"step {int(steps[-1])}</text></svg>"
    )
