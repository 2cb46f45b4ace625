"""A run's report: one HTML file with figures, curves and pictures, nothing beside it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cfcontra.datasets import SegmentationDataset
from cfcontra.runtime import Backend
from cfcontra.visualize import colorize

from . import page
from .curves import curve_plots


@dataclass(frozen=True)
class ReportDomain:
    """A domain whose pictures the report shows.

    Attributes:
        title: such as `target: streets:dusk`.
        dataset: its frames, with labels or without.
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
    before: Backend | None,
    after: Backend,
    domains: Sequence[ReportDomain],
    runs: Sequence[ReportRun],
    more: str = "",
) -> None:
    """Write the report, whole or not at all.

    Args:
        table: rows of text, the first is the heading.
        before, after: the models whose predictions stand side by side; None where the run
            began with random weights.
        more: HTML that comes before the curves.

    Raises:
        InputError: the file cannot be written.
    """
    label_space = after.metadata.label_space
    pictures = "".join(_domain(domain, before, after) for domain in domains)
    curves = "".join(curve_plots(run.title, run.log) for run in runs)
    body = (
        f"{page.table(table)}"
        f"<h2>Pictures</h2>{page.legend(label_space)}{pictures}{more}<h2>Curves</h2>{curves}"
    )
    page.write_page(path, title, body)


def _domain(domain: ReportDomain, before: Backend | None, after: Backend) -> str:
    space = after.metadata.label_space
    rows = []
    for index in domain.frames:
        sample = domain.dataset[index]
        shown = [("input", page.picture(sample.image, "input"))]
        if sample.label is not None:
            truth = colorize(sample.label, space)
            shown.append(("truth", page.picture(truth, "truth", lossless=True)))
        for name, backend in (("before", before), ("after", after)):
            if backend is None:
                continue
            mask = colorize(backend.predict(sample.image[None]).mask[0], space)
            shown.append((name, page.picture(mask, name, lossless=True)))
        cells = "".join(f"<div>{picture}<span>{name}</span></div>" for name, picture in shown)
        rows.append(f'<div class="row">{cells}</div>')
    return f"<h3>{html.escape(domain.title)}</h3>" + "".join(rows)
