"""`source-only`: supervised on the source; the target's look at most, never its pixels."""

from __future__ import annotations

from torch import Tensor

from cfcontra.models import SegmentationModel

from .base import Method, StepInput


class SourceOnly(Method):
    """Cross-entropy on source frames."""

    def losses(self, model: SegmentationModel, batch: StepInput, step: int) -> dict[str, Tensor]:
        return self.supervised(model.forward_features(batch.source_images), batch.source_labels)
