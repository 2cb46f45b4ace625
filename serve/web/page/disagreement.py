"""Where models that saw the same picture say different things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import IGNORE_INDEX, LabelSpace, mapping
from cfcontra.opencv import cv2

from ..pair_counts import pair_counts

_MARK = np.array([255, 77, 0], np.float32)


@dataclass(frozen=True)
class Disagreement:
    """How two or more masks of one picture differ.

    Attributes:
        classes: names that are compared, the same for every model.
        left_out: names that not every model knows.
        compared: pixels `[H, W]` on which every model gives a compared class.
        differs: pixels `[H, W]`, among the compared, on which they are not of one mind.
        confused: `(first model's class, other model's class, share)` of the compared pixels,
            largest first; for more than two models, of all the others together.
    """

    classes: tuple[str, ...]
    left_out: tuple[str, ...]
    compared: NDArray[np.bool_]
    differs: NDArray[np.bool_]
    confused: list[tuple[str, str, float]]

    @property
    def share(self) -> float:
        """Share of the compared pixels that differ; 0 where none can be compared."""
        return float(self.differs.sum() / max(int(self.compared.sum()), 1))

    @property
    def coverage(self) -> float:
        """Share of the picture that is compared."""
        return float(self.compared.mean())


def disagreement(masks: Sequence[NDArray[np.uint8]], spaces: Sequence[LabelSpace]) -> Disagreement:
    """Compare masks `[H, W]` by the names of their classes.

    Args:
        masks: train ids of each model, all of one size.
        spaces: the label space of each.
    """
    common = tuple(
        name for name in spaces[0].classes if all(name in space.classes for space in spaces)
    )
    every = dict.fromkeys(name for space in spaces for name in space.classes)
    left_out = tuple(name for name in every if name not in common)
    # Pictures are large: nothing here takes more than a byte for each of their pixels.
    shared = [
        np.asarray(cv2.LUT(mask, mapping(space.classes, common)), np.uint8)
        for mask, space in zip(masks, spaces, strict=True)
    ]
    compared, differs = np.ones_like(shared[0], bool), np.zeros_like(shared[0], bool)
    for mask in shared:
        compared &= mask != IGNORE_INDEX
    for mask in shared:
        np.copyto(mask, IGNORE_INDEX, where=~compared)
        differs |= mask != shared[0]
    return Disagreement(common, left_out, compared, differs, _confused(shared, common))


def difference_map(picture: NDArray[np.uint8], found: Disagreement) -> NDArray[np.uint8]:
    """The picture in faint grey, with what differs in orange; what is not compared is black.

    Args:
        picture: RGB `[h, w, 3]`, of any size.
        found: for a mask of the same picture.
    """
    size = picture.shape[1::-1]
    differs, compared = _shares(found.differs, size), _shares(found.compared, size)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    faint = (60.0 + 0.45 * grey) * compared[..., None]
    share = 0.85 * np.clip(differs, 0.0, 1.0)[..., None]
    return np.asarray(np.rint(faint * (1.0 - share) + _MARK * share), np.uint8)


def _shares(pixels: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map in another size: the share of each pixel of it, 0–1, to a byte's precision."""
    bytes_of = pixels.view(np.uint8) * np.uint8(255)
    resized = cv2.resize(bytes_of, size, interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32) / np.float32(255)


def _confused(
    shared: Sequence[NDArray[np.uint8]], classes: tuple[str, ...]
) -> list[tuple[str, str, float]]:
    """Pairs of classes in masks that have `IGNORE_INDEX` in the same places."""
    counts = np.zeros((256, 256), np.int64)
    for other in shared[1:]:
        counts += pair_counts(shared[0], other)
    total = max(int(counts[:IGNORE_INDEX].sum()), 1)
    np.fill_diagonal(counts, 0)
    found = [
        (classes[before], classes[after], int(counts[before, after]) / total)
        for before, after in np.argwhere(counts).tolist()
    ]
    return sorted(found, key=lambda pair: -pair[2])
