"""The weight average that a run keeps as its result, and how to look at it meanwhile."""

from __future__ import annotations

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging

from cfcontra.models import SegmentationModel

from .module import AdaptationModule


class WeightAverage(EMAWeightAveraging):
    """Exponential moving average of the weights, buffers included."""

    def network(self) -> SegmentationModel | None:
        """The averaged network, or None before training."""
        if self._average_model is None:
            return None
        module = self._average_model.module
        assert isinstance(module, AdaptationModule)
        return module.network


def result_network(trainer: Trainer, module: AdaptationModule) -> SegmentationModel:
    """The network that the run would end with now: the average where there is one."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAverage) and (averaged := callback.network()) is not None:
            return averaged
    return module.network
