"""Where the classes of both domains lie in feature space: principal components as a drawing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX, LabelSpace

from .methods.base import resize_labels
from .prototype_bank import class_sums

_SIDE, _PAD = 360, 16
_SHAPES = {
    "source": "●",
    "target": "■",
    "prototype": "★",
    "source prototype": "★",
    "target prototype": "☆",
}


@dataclass(frozen=True)
class ClassPoints:
    """Some vectors of classes, drawn alike.

    Attributes:
        kind: one of `source`, `target`, `prototype`, `source prototype`, `target prototype`.
        vectors: `[P, D]`.
        classes: train id of each `[P]`.
    """

    kind: str
    vectors: Tensor
    classes: Tensor


def class_means(kind: str, features: Tensor, labels: Tensor, num_classes: int) -> ClassPoints:
    """Mean feature of each class in each frame, of unit length.

    Args:
        features: `[F, D, h, w]`.
        labels: long `[F, H, W]`, 255 ignored.
    """
    vectors, classes = [], []
    for frame, ids in zip(features, resize_labels(labels, features), strict=True):
        sums, counts = class_sums(frame.flatten(1).t(), ids.flatten(), num_classes)
        present = counts > 0
        vectors.append(F.normalize(sums[present], dim=1))
        classes.append(present.nonzero()[:, 0])
    return ClassPoints(kind, torch.cat(vectors).cpu(), torch.cat(classes).cpu())


def principal_components(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[D]` and first two principal directions `[2, D]` of vectors `[P, D]`.

    The sign is fixed: the largest entry of each direction is positive.
    """
    mean = vectors.double().mean(dim=0)
    directions = torch.linalg.svd(vectors.double() - mean, full_matrices=False).Vh[:2]
    largest = directions.abs().argmax(dim=1, keepdim=True)
    return mean, directions * directions.gather(1, largest).sign()


@dataclass(frozen=True)
class Plane:
    """A plane in feature space and the window of it that is drawn.

    Attributes:
        mean: `[D]`, a point of the plane.
        directions: `[2, D]`, of length 1 and at right angles.
        low, reach: least coordinates `[2]` in the window, and its sides `[2]`.
    """

    mean: Tensor
    directions: Tensor
    low: NDArray[np.float64]
    reach: NDArray[np.float64]

    @classmethod
    def through(cls, points: Sequence[ClassPoints]) -> Plane:
        """The plane of the first two principal components of the points, and all of them in it."""
        vectors = torch.cat([part.vectors for part in points])
        mean, directions = principal_components(vectors)
        placed = ((vectors.double() - mean) @ directions.t()).numpy()
        return cls(mean, directions, placed.min(0), np.ptp(placed, axis=0).clip(1e-9))

    def places(self, vectors: Tensor) -> NDArray[np.float64]:
        """Where vectors `[P, D]` lie in the window, 0–1 `[P, 2]`."""
        placed: NDArray[np.float64] = ((vectors.double() - self.mean) @ self.directions.t()).numpy()
        return (placed - self.low) / self.reach


def draw_feature_map(
    title: str, points: Sequence[ClassPoints], plane: Plane, space: LabelSpace
) -> str:
    """The points in a plane, as SVG. Maps in the same plane are drawn to the same scale."""
    marks = []
    for part in points:
        spots = _PAD + plane.places(part.vectors) * (_SIDE - 2 * _PAD)
        for (x, y), index in zip(spots, part.classes.tolist(), strict=True):
            marks.append(_mark(part.kind, float(x), float(y), index, space))
    shapes = ", ".join(f"{_SHAPES[part.kind]} {part.kind}" for part in points)
    return (
        f'<div><svg viewBox="0 0 {_SIDE} {_SIDE}" role="img" '
        f'aria-label="{html.escape(title)}">{"".join(marks)}</svg>'
        f"<span>{html.escape(title)} · {shapes}</span></div>"
    )


def _mark(kind: str, x: float, y: float, index: int, space: LabelSpace) -> str:
    color = "rgb({},{},{})".format(*space.colors[index])
    name = f"<title>{html.escape(space.classes[index])}, {kind}</title>"
    if kind == "source":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}">{name}</circle>'
    if kind == "target":
        return (
            f'<rect x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4" '
            f'fill="{color}" stroke="currentColor" stroke-width=".7">{name}</rect>'
        )
    filled, edge = ("none", color) if kind == "target prototype" else (color, "currentColor")
    return (
        f'<path d="{_star(x, y)}" fill="{filled}" stroke="{edge}" stroke-width="1.6">{name}</path>'
    )


def _star(x: float, y: float) -> str:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii: NDArray[np.float64] = np.where(np.arange(10) % 2, 3.6, 9.0)
    corners = zip(x + radii * np.cos(angles), y + radii * np.sin(angles), strict=True)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corners) + "Z"


def labels_where(ids: Tensor, predicted: Tensor) -> Tensor:
    """Predicted classes `[F, H, W]` where `ids` (0: usable) allow it, 255 elsewhere."""
    return predicted.where(ids == 0, IGNORE_INDEX)
