"""Where models that saw the same picture say different things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import IGNORE_INDEX, LabelSpace, mapping
from cfcontra.opencv import cv2

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
    shared = np.stack(
        [mapping(space.classes, common)[mask] for mask, space in zip(masks, spaces, strict=True)]
    )
    compared = (shared != IGNORE_INDEX).all(axis=0)
    differs = compared & (shared != shared[0]).any(axis=0)
    return Disagreement(common, left_out, compared, differs, _confused(shared, compared, common))


def difference_map(picture: NDArray[np.uint8], found: Disagreement) -> NDArray[np.uint8]:
    """The picture in faint grey, with what differs in orange; what is not compared is black.

    Args:
        picture: RGB `[h, w, 3]`, of any size.
        found: for a mask of the same picture.
    """
    size = picture.shape[1::-1]
    differs = cv2.resize(found.differs.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    compared = cv2.resize(found.compared.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    faint = (60.0 + 0.45 * grey) * compared[..., None]
    share = 0.85 * np.clip(differs, 0.0, 1.0)[..., None]
    return np.asarray(np.rint(faint * (1.0 - share) + _MARK * share), np.uint8)


def _confused(
    shared: NDArray[np.uint8], compared: NDArray[np.bool_], classes: tuple[str, ...]
) -> list[tuple[str, str, float]]:
    first = shared[0][compared].astype(np.int64)
    counts: Counter[tuple[int, int]] = Counter()
    for other in shared[1:]:
        pairs = np.bincount(first * 256 + other[compared])
        for pair in np.flatnonzero(pairs).tolist():
            before, after = divmod(pair, 256)
            if before != after:
                counts[before, after] += int(pairs[pair])
    total = max(first.size * (len(shared) - 1), 1)
    return [
        (classes[before], classes[after], count / total)
        for (before, after), count in counts.most_common()
    ]
