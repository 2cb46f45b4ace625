"""An evaluation as a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cfcontra.calibration import Calibration
from cfcontra.label_space import LabelSpace

from . import page
from .confusion import draw_confusion
from .evaluate import Evaluation
from .evaluate_command import class_rows, percent, summary
from .unlabelled import Impression


def write_scores(path: Path, about: str, found: Evaluation, space: LabelSpace) -> None:
    """Write the page of an evaluation against labels.

    Args:
        about: what was scored on what.

    Raises:
        InputError: the file cannot be written.
    """
    heading = ["class", "IoU", *found.conditions]
    rows = [
        [
            name,
            percent(value),
            *(percent(scores.class_iou[name]) for scores in found.conditions.values()),
        ]
        for name, value in found.scores.class_iou.items()
    ]
    means = [percent(scores.miou, 2) for scores in found.conditions.values()]
    rows.append(["mIoU", percent(found.scores.miou, 2), *means])
    parts = [
        page.table([["", "%"], *summary(found)]),
        "<h2>Classes</h2>",
        page.table([heading, *rows]),
        "<h2>Calibration</h2>",
        '<div class="curves">',
        _reliability(found.calibration),
        "</div><p>Share of right pixels against confidence; bars under the line: too sure.</p>",
        "<h2>Confusion</h2>",
        page.picture(
            draw_confusion(found.confusion, space.classes), "confusion matrix", lossless=True
        ),
    ]
    page.write_page(path, about, "".join(parts))


def write_impression(path: Path, about: str, found: Impression, space: LabelSpace) -> None:
    """Write the page of a look at a model without labels."""
    scores = [[name, f"{value:.4f}"] for name, value in found.scores.items()]
    parts = [
        page.table([["label-free score", "0–1"], *scores]),
        "<h2>Classes</h2>",
        page.legend(space),
        page.table([["class", "% of the pixels", "mean confidence, %"], *class_rows(found)]),
    ]
    page.write_page(path, about, "".join(parts))


def _reliability(calibration: Calibration) -> str:
    side, pad = 320, 24
    reach = side - 2 * pad
    width = reach / len(calibration.accuracy)
    bars = "".join(
        f'<rect x="{pad + index * width:.1f}" y="{side - pad - value * reach:.1f}" '
        f'width="{width - 1:.1f}" height="{value * reach:.1f}" fill="var(--accent)" '
        f'fill-opacity="{0.25 + 0.75 * float(share) ** 0.5:.2f}"/>'
        for index, (value, share) in enumerate(
            zip(calibration.accuracy, calibration.share, strict=True)
        )
        if not np.isnan(value)
    )
    return (
        f'<svg viewBox="0 0 {side} {side}" role="img" aria-label="calibration">{bars}'
        f'<line x1="{pad}" y1="{side - pad}" x2="{side - pad}" y2="{pad}" '
        'stroke="currentColor" stroke-dasharray="4 3"/>'
        f'<text x="6" y="14">ECE {percent(calibration.ece, 2)} %</text></svg>'
    )
