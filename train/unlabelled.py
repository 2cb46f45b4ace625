"""What can be said of a model on frames without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torchvision.transforms.v2.functional as transforms
from numpy.typing import NDArray

from cfcontra.datasets import SegmentationDataset
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.runtime import Backend

from .evaluate import Progress
from .label_free import agreement_of

_GAMMA, _CONTRAST, _MIXING_SHARE = 1.2, 0.85, 0.55


@dataclass(frozen=True)
class Impression:
    """A model's predictions on frames without labels.

    Attributes:
        class_share: class name → share of the pixels that are predicted so, 0–1.
        class_confidence: class name → mean confidence of those pixels, NaN without any.
        scores: name → label-free score over all frames; of each, higher is meant to be better.
        frames: how many there were.
    """

    class_share: dict[str, float]
    class_confidence: dict[str, float]
    scores: dict[str, float]
    frames: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None."""
        return {
            "frames": self.frames,
            "label_free": {name: round(value, 6) for name, value in self.scores.items()},
            "class_share": {name: round(value, 6) for name, value in self.class_share.items()},
            "class_confidence": {
                name: None if np.isnan(value) else round(value, 6)
                for name, value in self.class_confidence.items()
            },
        }


def look(backend: Backend, dataset: SegmentationDataset, progress: Progress) -> Impression:
    """Predict every frame as it is, mirrored in other light, and mixed with the one before.

    The scores need masks and confidences alone, so that they mean the same for every
    runtime: mean `confidence`; `consistency`, the mean IoU of the first prediction with the
    second; `mixing`, that with the third (MixVal, Hu et al. 2023).

    Args:
        dataset: its labels, if it has any, are not looked at.
        progress: called with frames done and frames in all.
    """
    classes = backend.metadata.label_space.classes
    pixels, confidences = np.zeros(256), np.zeros(256)
    joint = {name: np.zeros((len(classes),) * 2) for name in ("consistency", "mixing")}
    before: NDArray[np.uint8] | None = None
    for index in range(len(dataset)):
        sample = dataset[index]
        image = sample.image
        found = backend.predict(image[None])
        usable = np.ones(image.shape[:2], bool) if sample.ignore is None else ~sample.ignore
        mask, sure = found.mask[0][usable], found.confidence[0][usable] / 255.0
        pixels += np.bincount(mask, minlength=256)
        confidences += np.bincount(mask, weights=sure, minlength=256)
        changed = backend.predict(_mirrored_and_relit(image)[None]).mask[0][:, ::-1]
        joint["consistency"] += _joint(mask, changed[usable], len(classes))
        if before is not None and before.shape == image.shape:
            mixed = np.rint(_MIXING_SHARE * image + (1 - _MIXING_SHARE) * before)
            other = backend.predict(mixed.astype(np.uint8)[None]).mask[0]
            joint["mixing"] += _joint(mask, other[usable], len(classes))
        before = image
        progress(index + 1, len(dataset))
    total = max(pixels.sum(), 1.0)
    with np.errstate(invalid="ignore"):
        means = confidences / pixels
    scores = {"confidence": float(confidences.sum() / total)}
    scores |= {name: agreement_of(counts) for name, counts in joint.items() if counts.any()}
    return Impression(
        class_share={name: float(pixels[i] / total) for i, name in enumerate(classes)},
        class_confidence={name: float(means[i]) for i, name in enumerate(classes)},
        scores=scores,
        frames=len(dataset),
    )


def _joint(one: NDArray[np.uint8], two: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    assert IGNORE_INDEX not in (one.max(initial=0), two.max(initial=0)), "masks name classes"
    flat = one.astype(np.int64) * classes + two
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def _mirrored_and_relit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pixels = torch.from_numpy(np.ascontiguousarray(image[:, ::-1])).permute(2, 0, 1)
    changed = transforms.adjust_contrast(transforms.adjust_gamma(pixels, _GAMMA), _CONTRAST)
    relit: NDArray[np.uint8] = changed.permute(1, 2, 0).numpy()
    return relit
