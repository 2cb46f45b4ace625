"""The teacher: an average of the student over time, which labels target frames."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cfcontra.models import ModelOutput, SegmentationModel

from .settings import TeacherSettings


@dataclass(frozen=True)
class PseudoLabels:
    """What the teacher says of target frames.

    Attributes:
        classes: long `[M, H, W]` at the frames' size.
        confidence: probability of that class `[M, H, W]`.
        quality: per frame, the share of pixels whose confidence reaches the threshold `[M]`.
        output: the teacher's own output.
    """

    classes: Tensor
    confidence: Tensor
    quality: Tensor
    output: ModelOutput


class Teacher(nn.Module):
    """Exponential moving average of the student, buffers included (Tarvainen & Valpola 2017).

    Args:
        student: the network it starts as.
        settings: decay and confidence threshold.
    """

    def __init__(self, student: SegmentationModel, settings: TeacherSettings) -> None:
        super().__init__()
        self._settings = settings
        average = get_ema_multi_avg_fn(settings.decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(student, multi_avg_fn=average, use_buffers=True)
        self.average.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Teacher:
        """It always predicts as in use: batch normalisation by its averages."""
        super().train(mode)
        self.average.eval()
        return self

    @torch.no_grad()
    def label(self, images: Tensor) -> PseudoLabels:
        """Label normalised frames `[M, 3, H, W]`."""
        model = self.average.module
        assert isinstance(model, SegmentationModel)
        output = model.forward_features(images)
        logits = F.interpolate(
            output.logits.float(), size=images.shape[-2:], mode="bilinear", align_corners=False
        )
        # max softmax = 1 / Σ exp(logit − max), without the other classes' probabilities
        highest, classes = logits.max(dim=1)
        confidence = 1.0 / (logits - highest[:, None]).exp_().sum(dim=1)
        sure = confidence >= self._settings.threshold
        return PseudoLabels(classes, confidence, sure.float().mean(dim=(1, 2)), output)

    def follow(self, student: SegmentationModel) -> None:
        """Move towards the student."""
        self.average.update_parameters(student)
