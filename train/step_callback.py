"""Callbacks that act when an optimiser step is done."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from .data import PairedBatch
from .module import AdaptationModule


class StepCallback(Callback):
    """Is called once a step, in every process, however many batches the step has."""

    def on_step_end(self, trainer: Trainer, module: AdaptationModule) -> None:
        """Act: `trainer.global_step` steps are done, with all that follows a step."""
        raise NotImplementedError

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: PairedBatch,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdaptationModule)
        if batch.ends_step(trainer.accumulate_grad_batches):
            self.on_step_end(trainer, pl_module)
