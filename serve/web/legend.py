"""What is in a picture: each class with its colour, area and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np

from cfcontra.label_space import Color, LabelSpace
from cfcontra.runtime import Prediction


@dataclass(frozen=True)
class ClassShare:
    """One class in a picture.

    Attributes:
        name: of the class.
        color: RGB, 0–255.
        area: share of the picture's pixels, 0–1.
        confidence: mean probability over those pixels, 0–1; 0 where there are none.
    """

    name: str
    color: Color
    area: float
    confidence: float


def class_shares(prediction: Prediction, label_space: LabelSpace) -> list[ClassShare]:
    """All classes of the label space for the first picture of a prediction, largest first."""
    mask, confidence = prediction.mask[0].ravel(), prediction.confidence[0].ravel()
    pixels = np.bincount(mask, minlength=256)
    sums = np.bincount(mask, weights=confidence.astype(np.float64), minlength=256)
    shares = [
        ClassShare(
            name,
            color,
            area=float(pixels[train_id] / mask.size),
            confidence=float(sums[train_id] / max(pixels[train_id], 1) / 255.0),
        )
        for train_id, (name, color) in enumerate(
            zip(label_space.classes, label_space.colors, strict=True)
        )
    ]
    return sorted(shares, key=lambda share: -share.area)


def legend_html(shares: list[ClassShare]) -> str:
    """A table of the classes that occur, and the names of those that do not."""
    seen = [share for share in shares if share.area > 0]
    largest = max((share.area for share in seen), default=1.0)
    rows = "".join(
        f"<tr><td>{_chip(share.color)}{escape(share.name)}</td>"
        f'<td class="bar">{_bar(share, largest)}</td>'
        f'<td class="number">{_percent(share.area)}</td>'
        f'<td class="number">{_percent(share.confidence)}</td></tr>'
        for share in seen
    )
    unseen = "".join(
        f"<span>{_chip(share.color)}{escape(share.name)}</span>"
        for share in shares
        if share.area == 0
    )
    if not seen:
        return f'<div class="legend"><div class="unseen">{unseen}</div></div>'
    table = (
        '<table><thead><tr><th>class</th><th class="bar"></th><th class="number">area</th>'
        f'<th class="number">confidence</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    not_seen = f'<div class="unseen"><span>not seen:</span>{unseen}</div>' if unseen else ""
    return f'<div class="legend">{table}{not_seen}</div>'


def palette_html(label_space: LabelSpace) -> str:
    """The classes before any picture is there."""
    colors = zip(label_space.classes, label_space.colors, strict=True)
    return legend_html([ClassShare(name, color, 0.0, 0.0) for name, color in colors])


def _chip(color: Color) -> str:
    return f'<span class="chip" style="background:{_css(color)}"></span>'


def _bar(share: ClassShare, largest: float) -> str:
    width = 100.0 * share.area / largest
    return f'<div style="width:{width:.1f}%;background:{_css(share.color)}"></div>'


def _css(color: Color) -> str:
    return f"rgb{color}"


def _percent(value: float) -> str:
    percent = 100.0 * value
    return "<0.1 %" if 0 < percent < 0.05 else f"{percent:.1f} %"
