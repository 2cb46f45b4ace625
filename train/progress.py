"""What a run shows while it works: a progress bar, and scores now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cfcontra.checkpoint import Checkpoint
from cfcontra.command import notes
from cfcontra.datasets import SegmentationDataset
from cfcontra.runtime.torch_backend import TorchBackend

from .evaluate import evaluate_backend
from .module import AdaptationModule


def progress_bar() -> Progress:
    """A bar on standard error with count, times and a free `status` field."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[status]}"),
        console=notes,
    )


@contextmanager
def reported(title: str, total: int, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for work on frames; yields what is called with frames done and frames in all."""
    if quiet:
        yield lambda _, __: None
        return
    with progress_bar() as bar:
        task = bar.add_task(title, total=total, status="")
        yield lambda done, _: bar.update(task, completed=done)


class StepProgress(Callback):
    """A bar over the steps, with loss and the last validation's mIoU."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._bar = progress_bar()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=trainer.max_steps, status="")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        figures = trainer.callback_metrics
        status = f"loss {float(figures['loss']):.3f}"
        if "val/miou" in figures:
            status += f"  mIoU {100 * float(figures['val/miou']):.1f}"
        self._bar.update(self._task, completed=trainer.global_step, status=status)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._bar.stop()


class Validation(Callback):
    """Scores the network every so many steps, exactly as `cfcontra-eval` does; for show only."""

    def __init__(self, dataset: SegmentationDataset, every: int) -> None:
        self._dataset, self._every = dataset, every

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        step = trainer.global_step
        if step % self._every or step >= trainer.max_steps:
            return
        assert isinstance(pl_module, AdaptationModule)
        module = pl_module
        backend = TorchBackend(Checkpoint(module.network, module.metadata), str(module.device))
        with torch.autocast(module.device.type, enabled=False):
            scores = evaluate_backend(backend, self._dataset)
        module.network.train()
        pl_module.log("val/miou", scores.miou)
