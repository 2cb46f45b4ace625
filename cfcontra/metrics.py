"""Segmentation scores from one confusion matrix."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.classification import MulticlassConfusionMatrix

from cfcontra.label_space import IGNORE_INDEX, LabelSpace


@dataclass(frozen=True)
class Scores:
    """Scores of one evaluation.

    Attributes:
        miou: mean of the class IoUs over classes that occur in truth or prediction, 0–1
            (the Cityscapes benchmark's definition); NaN without a labelled pixel.
        class_iou: class name → IoU 0–1, NaN for a class that does not occur.
        pixel_accuracy: share of labelled pixels that are right.
        frames: how many frames were counted.
    """

    miou: float
    class_iou: dict[str, float]
    pixel_accuracy: float
    frames: int

    def mean_over(self, classes: Collection[str]) -> float:
        """Mean IoU of some classes, those that do not occur left out; NaN where none does."""
        found = [self.class_iou[name] for name in classes]
        return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None."""

        def plain(value: float) -> float | None:
            return None if np.isnan(value) else round(value, 6)

        return {
            "miou": plain(self.miou),
            "class_iou": {name: plain(value) for name, value in self.class_iou.items()},
            "pixel_accuracy": plain(self.pixel_accuracy),
            "frames": self.frames,
        }


class SegmentationScore:
    """Accumulates masks against labels; ignored pixels count nowhere."""

    def __init__(self, label_space: LabelSpace) -> None:
        self.label_space = label_space
        self.frames = 0
        self._matrix = MulticlassConfusionMatrix(
            num_classes=label_space.num_classes, ignore_index=IGNORE_INDEX, validate_args=False
        )

    def update(self, mask: NDArray[np.uint8], label: NDArray[np.uint8]) -> None:
        """Count one frame: predicted and true train ids, both `[H, W]`.

        Raises:
            ValueError: the shapes differ.
        """
        if mask.shape != label.shape:
            raise ValueError(f"mask {mask.shape} and label {label.shape} differ in size")
        self._matrix.update(torch.from_numpy(mask).long(), torch.from_numpy(label).long())
        self.frames += 1

    def confusion(self) -> NDArray[np.int64]:
        """Pixel counts `[C, C]`: row true class, column predicted class."""
        counts: NDArray[np.int64] = self._matrix.confmat.numpy().astype(np.int64)
        return counts

    def compute(self) -> Scores:
        """Scores of everything counted so far."""
        matrix = self.confusion().astype(np.float64)
        hits = np.diag(matrix)
        union = matrix.sum(0) + matrix.sum(1) - hits
        iou = np.divide(hits, union, out=np.full_like(hits, np.nan), where=union > 0)
        total = matrix.sum()
        return Scores(
            miou=float(np.nanmean(iou)) if total else float("nan"),
            class_iou=dict(zip(self.label_space.classes, iou.tolist(), strict=True)),
            pixel_accuracy=float(hits.sum() / total) if total else float("nan"),
            frames=self.frames,
        )
