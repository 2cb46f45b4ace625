"""A method turns one step's frames into named losses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.label_space import IGNORE_INDEX
from cfcontra.models import ModelOutput, SegmentationModel

from ..losses.segmentation import segmentation_loss
from ..recipe import Stage


@dataclass(frozen=True)
class StepInput:
    """What the network sees in one step: normalised, restyled, on the device.

    Attributes:
        source_images: `[N, 3, H, W]`.
        source_labels: long `[N, H, W]`, 255 ignored.
        target_images: `[M, 3, H, W]`, or None without a target.
        target_valid: bool `[M, H, W]`, False in padding and ignore regions.
    """

    source_images: Tensor
    source_labels: Tensor
    target_images: Tensor | None
    target_valid: Tensor | None


class Method(nn.Module):
    """Base of the methods. Parameters and buffers it holds belong to training only.

    Attributes:
        uses_target: whether target frames pass through the network.
    """

    uses_target: bool = False

    def __init__(
        self, model: SegmentationModel, stage: Stage, class_weights: Tensor | None
    ) -> None:
        super().__init__()
        self.stage = stage
        self.num_classes = model.out_classes
        self.register_buffer("class_weights", class_weights, persistent=False)

    def losses(self, model: SegmentationModel, batch: StepInput, step: int) -> dict[str, Tensor]:
        """Weighted losses by name; their sum is minimised."""
        raise NotImplementedError

    def prepare(self, model: SegmentationModel, batches: Iterable[StepInput]) -> None:
        """Look at some batches before the first step."""

    def commit(self) -> None:
        """Called after an optimiser step that was really taken: state may change here."""

    def measures(self) -> dict[str, float]:
        """Figures to log that are no losses."""
        return {}

    def supervised(self, output: ModelOutput, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of the main and, where there is one, the auxiliary classifier."""
        weights = self.class_weights
        assert weights is None or isinstance(weights, Tensor)
        losses = {"segmentation": segmentation_loss(output.logits, labels, weights)}
        if output.aux_logits is not None:
            aux = segmentation_loss(output.aux_logits, labels, weights)
            losses["segmentation_aux"] = self.stage.aux_weight * aux
        return losses


def forward_both(
    model: SegmentationModel, batch: StepInput
) -> tuple[ModelOutput, ModelOutput, Tensor]:
    """One pass over source and target together, so that both share batch statistics.

    Returns:
        Source output, target output, and the valid mask at the target logits' size.
    """
    assert batch.target_images is not None and batch.target_valid is not None
    output = model.forward_features(torch.cat([batch.source_images, batch.target_images]))
    at = len(batch.source_images)
    source = ModelOutput(output.logits[:at], output.features[:at], _part(output.aux_logits, 0, at))
    target = ModelOutput(
        output.logits[at:], output.features[at:], _part(output.aux_logits, at, None)
    )
    return source, target, resize_mask(batch.target_valid, target.logits)


def _part(logits: Tensor | None, start: int, stop: int | None) -> Tensor | None:
    return None if logits is None else logits[start:stop]


def resize_labels(labels: Tensor, like: Tensor) -> Tensor:
    """Long labels `[N, H, W]` at the size of `like` `[N, D, h, w]`, by nearest."""
    resized = F.interpolate(labels[:, None].float(), size=like.shape[-2:], mode="nearest-exact")
    return resized[:, 0].long()


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Bool mask `[N, H, W]` at the size of `like` `[N, D, h, w]`, by nearest."""
    ignored = torch.where(mask, 0, IGNORE_INDEX)
    return resize_labels(ignored, like) == 0
