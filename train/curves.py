"""A run's log as curves."""

from __future__ import annotations

import csv
import html
from pathlib import Path

import numpy as np


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


def curve_plots(title: str, log: Path) -> str:
    """One plot for each figure of a run's CSV log, as HTML."""
    plots = "".join(
        _plot(name, points) for name, points in sorted(read_curves(log).items()) if len(points) > 1
    )
    return f'<h3>{html.escape(title)}</h3><div class="curves">{plots}</div>'


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
