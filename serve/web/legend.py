"""What is in a picture: each class with its colour, area and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from cfcontra.label_space import Color, LabelSpace
from cfcontra.runtime import Prediction

from .pair_counts import pair_counts


@dataclass(frozen=True)
class ClassShare:
    """One class in a picture.

    Attributes:
        train_id: of the class.
        name: of the class.
        color: RGB, 0–255.
        area: share of the picture's pixels, 0–1.
        confidence: mean probability over those pixels, 0–1; 0 where there are none.
    """

    train_id: int
    name: str
    color: Color
    area: float
    confidence: float


def class_shares(prediction: Prediction, label_space: LabelSpace) -> list[ClassShare]:
    """All classes of the label space for the first picture of a prediction, largest first."""
    # One histogram of both: exact, and one pass.
    counts = pair_counts(prediction.mask[0], prediction.confidence[0])
    pixels, sums = counts.sum(axis=1), counts @ np.arange(256)
    shares = [
        ClassShare(
            train_id,
            name,
            color,
            area=float(pixels[train_id] / prediction.mask[0].size),
            confidence=float(sums[train_id] / max(pixels[train_id], 1) / 255.0),
        )
        for train_id, (name, color) in enumerate(
            zip(label_space.classes, label_space.colors, strict=True)
        )
    ]
    return sorted(shares, key=lambda share: -share.area)


def legend_html(shares: list[ClassShare]) -> str:
    """A table of the classes that occur, each with a box to hide it, and the names of the rest."""
    seen = [share for share in shares if share.area > 0]
    largest = max((share.area for share in seen), default=1.0)
    rows = "".join(_row(share, largest) for share in seen)
    unseen = "".join(
        f"<span>{chip(share.color)}{escape(share.name)}</span>"
        for share in shares
        if share.area == 0
    )
    if not seen:
        return f'<div class="legend"><div class="unseen">{unseen}</div></div>'
    table = (
        '<table><thead><tr><th scope="col">Class</th><th class="bar"></th>'
        '<th scope="col" class="number">Area</th>'
        '<th scope="col" class="number">Confidence</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    not_seen = f'<div class="unseen"><b>Not seen</b>{unseen}</div>' if unseen else ""
    return f'<div class="legend">{table}{not_seen}</div>'


def chip(color: Color) -> str:
    """A small square of a class's colour."""
    return f'<span class="chip" style="background:{css_color(color)}"></span>'


def css_color(color: Color) -> str:
    """A colour as style sheets write it."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def percent(share: float) -> str:
    """A share of 1 for people to read; what is there never reads as nothing."""
    value = 100.0 * share
    return "<0.1 %" if 0 < value < 0.05 else f"{value:.1f} %"


def _row(share: ClassShare, largest: float) -> str:
    name = escape(share.name)
    width = 100.0 * share.area / largest
    return (
        f'<tr data-id="{share.train_id}"><th scope="row"><label>'
        f'<input type="checkbox" checked value="{name}" aria-label="Show {name}">'
        f"{chip(share.color)}{name}</label></th>"
        f'<td class="bar"><div style="width:{width:.1f}%;background:{css_color(share.color)}">'
        f'</div></td><td class="number">{escape(percent(share.area))}</td>'
        f'<td class="number">{escape(percent(share.confidence))}</td></tr>'
    )
