"""The one LightningModule: it runs any method on any pair of domains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from cfcontra.checkpoint import Checkpoint
from cfcontra.errors import InputError
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.metadata import ModelMetadata
from cfcontra.models import SegmentationModel

from .data import DomainBatch, PairedBatch, PairedLoading
from .methods import StepInput, build_method
from .optim import build_optimizer, poly_schedule
from .recipe import Recipe, Stage
from .style import build_style, restyle


class AdaptationModule(LightningModule):
    """Restyles batches, sums a method's losses, and steps.

    Args:
        checkpoint: the network to train and what goes with it.
        recipe: all settings.
        stage: the stage of the recipe to run.
        class_weights: `[C]` for the cross-entropy, or None.
        resumed: whether a checkpoint brings what the first step needs.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        recipe: Recipe,
        stage: Stage,
        class_weights: Tensor | None = None,
        resumed: bool = False,
    ) -> None:
        super().__init__()
        # Channels last is the layout that convolutions are fast in, on CPUs and tensor cores.
        self.network: SegmentationModel = checkpoint.model.to(memory_format=torch.channels_last)
        self.metadata: ModelMetadata = checkpoint.metadata
        self.recipe, self.stage = recipe, stage
        self.method = build_method(self.network, stage, class_weights, self.normalize)
        self._style = build_style(stage.style)  # a function: no part of what is trained or saved
        self._resumed = resumed
        self._scale_before = 0.0

    def configure_optimizers(self) -> Any:
        settings = self.stage.optimizer
        groups = self.network.parameter_groups(settings.lr, settings.head_lr_factor)
        groups += self.method.parameter_groups(settings.lr * settings.head_lr_factor)
        optimizer = build_optimizer(groups, settings)
        schedule = poly_schedule(optimizer, settings, self.stage.steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_train_start(self) -> None:
        """Let the method look at some batches; all processes look together."""
        if self.method.prepares and not self._resumed:
            loading: PairedLoading = self.trainer.datamodule  # type: ignore[attr-defined]
            batches = loading.first_batches(self.stage.contrast.init_batches)
            self.eval()
            with self.trainer.precision_plugin.forward_context():
                self.method.prepare(self.network, map(self.step_input, batches))
        # A loaded network is in evaluation mode, and Lightning keeps the mode it finds.
        self.train()

    def step_input(self, batch: PairedBatch) -> StepInput:
        """Restyle the source after the target; values 0–1, on the device."""
        generator = torch.Generator().manual_seed(
            hash((self.recipe.seed, batch.number, self.global_rank)) % 2**63
        )
        source = self._images(batch.source)
        labels = batch.source.labels.to(self.device).long()
        if batch.target is None:
            return StepInput(source, labels, None, None, generator)
        target = self._images(batch.target)
        source = restyle(source, target, self._style, self.stage.style.share, generator)
        valid = batch.target.labels.to(self.device) != IGNORE_INDEX
        return StepInput(source, labels, target, valid, generator)

    def _images(self, batch: DomainBatch) -> Tensor:
        return batch.images.to(self.device).float() / 255.0

    def training_step(self, batch: PairedBatch, batch_idx: int) -> Tensor:
        step = batch.number // self.stage.optimizer.accumulate
        inputs = self.step_input(batch)
        # What draws from the global generators, such as dropout, is the step's own too.
        torch.manual_seed(inputs.generator.initial_seed())
        losses = self.method.losses(self.network, inputs, step)
        total = torch.stack([*losses.values()]).sum()
        if not bool(torch.isfinite(total)):
            raise InputError(_not_finite(step, losses, batch))
        size = len(batch.source.images)
        self.log("loss/total", total.detach(), prog_bar=True, batch_size=size)
        detached = {f"loss/{name}": value.detach() for name, value in losses.items()}
        self.log_dict({**detached, **self.method.measures()}, batch_size=size)
        self._scale_before = self._loss_scale()
        return total

    def on_train_batch_end(self, outputs: Any, batch: PairedBatch, batch_idx: int) -> None:
        if not batch.ends_step(self.stage.optimizer.accumulate):
            return
        if self._loss_scale() >= self._scale_before:  # fp16 lowers it when it skips a step
            self.method.commit(self.network)
        else:
            self.method.discard()

    @contextmanager
    def looking(self, network: SegmentationModel) -> Iterator[None]:
        """Evaluation mode and full precision for a network and the method, then as before."""
        modes = [(part, part.training) for part in (network, self.method)]
        for part, _ in modes:
            part.eval()
        try:
            with torch.autocast(self.device.type, enabled=False):
                yield
        finally:
            for part, training in modes:
                part.train(training)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch  # `step_input` moves what is needed

    def normalize(self, images: Tensor) -> Tensor:
        """From values 0–1 to what the network takes."""
        preprocessing = self.metadata.preprocessing
        mean = images.new_tensor(preprocessing.mean).view(1, 3, 1, 1)
        std = images.new_tensor(preprocessing.std).view(1, 3, 1, 1)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    def _loss_scale(self) -> float:
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return 0.0 if scaler is None else float(scaler.get_scale())


def _not_finite(step: int, losses: dict[str, Tensor], batch: PairedBatch) -> str:
    named = [name for name, value in losses.items() if not bool(torch.isfinite(value))]
    domains: list[DomainBatch] = [batch.source, *([batch.target] if batch.target else [])]
    origins = [origin for domain in domains for origin in domain.origins]
    return (
        f"Step {step} (batch {batch.number}): the loss is not finite ({', '.join(named)}). "
        f"Frames: {', '.join(origins)}. Lower the learning rate or the loss weights."
    )
