"""What a run shows while it works: a progress bar, and scores now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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

from cfcontra.command import notes


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
        status = f"loss {float(figures['loss/total']):.3f}"
        if "val/miou" in figures:
            status += f"  mIoU {100 * float(figures['val/miou']):.1f}"
        self._bar.update(self._task, completed=trainer.global_step, status=status)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._bar.stop()
