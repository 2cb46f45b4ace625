"""The Compare tab's result: models side by side on one picture, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import IGNORE_INDEX, LabelSpace
from cfcontra.runtime import Prediction
from cfcontra.runtime.mean_confidence import mean_confidence
from cfcontra.visualize import encode_jpeg

from ...indexed import encode_mask
from ..legend import chip, percent
from .disagreement import Disagreement, difference_map, disagreement
from .parts import OPACITY
from .viewer import data_url, shrink, shrink_mask

_SHOWN = 960
_PAIRS = 5


@dataclass(frozen=True)
class Answer:
    """What one model says about the picture."""

    name: str
    label_space: LabelSpace
    prediction: Prediction


def compare_html(picture: NDArray[np.uint8], answers: Sequence[Answer]) -> str:
    """Overlays side by side, the map of what differs, and in words how much.

    Args:
        picture: RGB uint8 `[H, W, 3]`.
        answers: of two or more models.
    """
    found = disagreement(
        [answer.prediction.mask[0] for answer in answers],
        [answer.label_space for answer in answers],
    )
    small = shrink(picture, _SHOWN)
    image = data_url(encode_jpeg(small), "image/jpeg")
    size = (small.shape[0], small.shape[1])
    panels = "".join(_panel(answer, image, size) for answer in answers)
    return (
        f'<cf-blend class="compare"><div class="cf-bar">{_share(found)}'
        f"{OPACITY}</div>"
        f'{_explained(found, answers)}<div class="panels">{panels}{_difference(small, found)}'
        f"{_confusions(found, answers)}</div>{_common_legend(answers)}</cf-blend>"
    )


def _panel(answer: Answer, image: str, size: tuple[int, int]) -> str:
    mask = shrink_mask(answer.prediction.mask[0], size)
    colors = data_url(encode_mask(mask, answer.label_space, clear=True), "image/png")
    confidence = percent(mean_confidence(answer.prediction.confidence[0]))
    name = escape(answer.name)
    return (
        f'<figure><div class="stack"><img src="{image}" alt="The picture">'
        f'<img class="over" src="{colors}" alt="Classes that {name} sees"></div>'
        f"<figcaption><b>{name}</b><span>mean confidence {escape(confidence)}</span></figcaption>"
        "</figure>"
    )


def _difference(picture: NDArray[np.uint8], found: Disagreement) -> str:
    if not found.classes:
        return ""
    drawn = data_url(encode_jpeg(difference_map(picture, found)), "image/jpeg")
    return (
        f'<figure class="differs"><div class="stack"><img src="{drawn}" '
        'alt="Map of the pixels on which the models differ"></div><figcaption>'
        "<b>Where they differ</b><span>in orange</span></figcaption></figure>"
    )


def _share(found: Disagreement) -> str:
    if not found.classes:
        return ""
    return (
        f'<p class="figure"><b class="share">{escape(percent(found.share))}</b> of the pixels '
        "differ</p>"
    )


def _explained(found: Disagreement, answers: Sequence[Answer]) -> str:
    if not found.left_out:
        return ""
    spaces = ", ".join(
        f"{escape(answer.name)} knows {answer.label_space.num_classes} "
        f"({escape(answer.label_space.name)})"
        for answer in answers
    )
    if not found.classes:
        return (
            f'<p class="note" role="note">These models have no class in common: {spaces}. They '
            "can be looked at side by side, but their masks cannot be compared.</p>"
        )
    return (
        f'<p class="note" role="note">These models do not have the same classes: {spaces}. '
        f"Compared by name are the {len(found.classes)} that all of them know "
        f"({escape(', '.join(found.classes))}), on the {escape(percent(found.coverage))} of the "
        "picture where all of them see one of these; the rest is black in the map.</p>"
    )


def _confusions(found: Disagreement, answers: Sequence[Answer]) -> str:
    pairs = found.confused[:_PAIRS]
    if not pairs:
        return ""
    colors = dict(zip(answers[0].label_space.classes, answers[0].label_space.colors, strict=True))
    other = escape(answers[1].name) if len(answers) == 2 else "the others say"
    rows = "".join(
        f"<tr><td>{chip(colors[before])}{escape(before)}</td>"
        f"<td>{chip(colors[after])}{escape(after)}</td>"
        f'<td class="number">{escape(percent(share))}</td></tr>'
        for before, after, share in pairs
    )
    return (
        '<div class="legend"><table><thead><tr>'
        f'<th scope="col">{escape(answers[0].name)}</th><th scope="col">{other}</th>'
        '<th scope="col" class="number">Pixels</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _common_legend(answers: Sequence[Answer]) -> str:
    """Chips of all classes that any model sees; a class has one colour per label space."""
    seen: dict[tuple[str, str], str] = {}
    for answer in answers:
        ids = np.unique(answer.prediction.mask[0])
        for train_id in ids[ids != IGNORE_INDEX].tolist():
            name, color = (
                answer.label_space.classes[train_id],
                answer.label_space.colors[train_id],
            )
            mark = chip(color)
            seen[name, mark] = f"<span>{mark}{escape(name)}</span>"
    return f'<div class="legend"><div class="unseen">{"".join(seen.values())}</div></div>'
