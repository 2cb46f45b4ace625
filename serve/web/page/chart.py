"""Class areas over time as a stacked chart, drawn as SVG by hand: no script, no other host."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace

from ..legend import chip, css_color, percent

_WIDTH, _HEIGHT = 720, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 30
_POINTS = 240  # more than a screen can tell apart
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def areas_svg(areas: NDArray[np.float64], seconds: float, label_space: LabelSpace) -> str:
    """A stacked chart of class areas.

    Args:
        areas: share of each frame that each class takes, `[frames, classes]`; rows sum to 1
            at most.
        seconds: length of the video.
        label_space: names and colours of the classes.
    """
    points = _thin(areas)
    inner, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    across = _LEFT + inner * np.linspace(0.0, 1.0, len(points))
    lower = np.zeros(len(points))
    shapes = []
    for train_id, (name, color) in enumerate(
        zip(label_space.classes, label_space.colors, strict=True)
    ):
        upper = lower + points[:, train_id]
        if points[:, train_id].any():
            edge = _path(across, upper, tall) + _path(across[::-1], lower[::-1], tall)
            mean = percent(float(areas[:, train_id].mean()))
            shapes.append(
                f'<polygon points="{edge.strip()}" fill="{css_color(color)}">'
                f"<title>{escape(name)}: {escape(mean)} of the video</title></polygon>"
            )
        lower = upper
    return (
        f'<svg class="areas" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'data-seconds="{seconds:.3f}" data-left="{_LEFT}" data-width="{inner}" '
        'aria-label="Share of the picture that each class takes, over time">'
        f"{_grid(tall, inner)}{''.join(shapes)}{_times(seconds, inner)}"
        f'<line class="needle" x1="0" x2="0" y1="{_TOP}" y2="{_TOP + tall}" '
        f'transform="translate({_LEFT} 0)"/></svg>'
    )


def areas_legend(areas: NDArray[np.float64], label_space: LabelSpace) -> str:
    """The chart's classes, largest first, with their mean share of the video."""
    means = areas.mean(axis=0)
    return '<div class="legend"><div class="unseen">{}</div></div>'.format(
        "".join(
            f"<span>{chip(label_space.colors[train_id])}"
            f"{escape(label_space.classes[train_id])} {escape(percent(float(means[train_id])))}"
            "</span>"
            for train_id in np.argsort(-means, kind="stable")[: label_space.num_classes].tolist()
            if means[train_id] > 0
        )
    )


def _thin(areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over stretches of time, at most `_POINTS` of them, at least two."""
    if len(areas) < 2:
        return np.repeat(areas, 2, axis=0)
    if len(areas) <= _POINTS:
        return areas
    return np.stack([part.mean(axis=0) for part in np.array_split(areas, _POINTS)])


def _path(across: NDArray[np.float64], shares: NDArray[np.float64], tall: int) -> str:
    down = _TOP + tall * (1.0 - shares)
    return "".join(f"{x:.1f},{y:.1f} " for x, y in zip(across, down, strict=True))


def _grid(tall: int, inner: int) -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _TOP + tall * (1.0 - share)
        lines.append(f'<line class="rule" x1="{_LEFT}" x2="{_LEFT + inner}" y1="{y}" y2="{y}"/>')
        if share in (0.0, 0.5, 1.0):
            lines.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{share:.0%}</text>')
    return "".join(lines)


def _times(seconds: float, inner: int) -> str:
    step = next((tick for tick in _TICKS if seconds / tick <= 8), _TICKS[-1])
    marks = []
    for number in range(int(seconds // step) + 1):
        at = number * step
        x = _LEFT + inner * (at / seconds if seconds else 0.0)
        if x > _LEFT + inner - 6:
            break
        minutes, rest = divmod(at, 60)
        marks.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 7}" text-anchor="middle">{minutes}:{rest:02d}</text>'
        )
    return "".join(marks)
