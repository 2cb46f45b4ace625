"""Stopping and going on: checkpoints from which a run continues as if it had not stopped."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer

from cfcontra.config import flatten
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_torch, refusals

from .checks import require_finite
from .data import PairedBatch
from .module import AdaptationModule
from .run_features import BANKS
from .run_report import REPORT
from .step_callback import StepCallback

RUN_KEY = "cfcontra"
LAST = Path("checkpoints") / "last.ckpt"
UNTRIED = LAST.with_name("untried.ckpt")
_LOGS = ("logs/metrics*.csv", "logs/hparams.yaml", "logs/events.out.tfevents.*")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the checkpoint that is there and renames: a full disk loses nothing."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_torch(place, checkpoint)


class Checkpoints(StepCallback):
    """Saves everything before a batch whose number divides evenly.

    At that moment the step before is complete: optimiser, schedule, averages, banks and
    teacher have moved, and no loss of the next batch exists. So the checkpoint is untried, and
    takes the last one's place only when the step from it is complete, in all processes, with
    finite losses: a run that explodes leaves the last good one.

    Args:
        folder: of the run.
        every: steps between checkpoints.
        about: what the run is; it must be the same for a run that goes on.
    """

    def __init__(self, folder: Path, every: int, about: dict[str, Any]) -> None:
        self._last, self._untried = folder / LAST, folder / UNTRIED
        self._every, self._about = every, about
        self._begun = self._saved = False

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: PairedBatch, batch_idx: int
    ) -> None:
        step, rest = divmod(batch.number, trainer.accumulate_grad_batches)
        if self._begun and rest == 0 and step % self._every == 0:
            require_finite(pl_module.state_dict(), f"after {step} steps")
            trainer.save_checkpoint(self._untried)
            self._saved = True
        self._begun = True

    def on_step_end(self, trainer: Trainer, module: AdaptationModule) -> None:
        if self._saved:
            self._saved = False
            if trainer.is_global_zero:
                with refusals(self._last):
                    self._untried.replace(self._last)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if trainer.is_global_zero:
            self._untried.unlink(missing_ok=True)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        assert isinstance(pl_module, AdaptationModule)
        network = pl_module.network.config()
        checkpoint[RUN_KEY] = {"about": self._about, "batches": batches, "network": network}


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        batches: that are done.
        network: `config` of the network, which published weights may have changed; None before
            the first checkpoint, and in files from before it was kept.
    """

    batches: int = 0
    network: dict[str, Any] | None = None


def read_progress(folder: Path, about: dict[str, Any]) -> Progress:
    """What a run's last checkpoint says of its progress.

    Raises:
        InputError: no checkpoint, an unreadable one, or one of a run with other settings.
    """
    path = folder / LAST
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to go on from. Start without --resume.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)[RUN_KEY]
        before = state["about"]
        progress = Progress(int(state["batches"]), state.get("network"))
    except Exception as error:  # Foreign bytes are read as opcodes: any error may come of them.
        raise InputError(
            f"{path}: not a checkpoint of this package, or damaged. Start again with --overwrite."
        ) from error
    old, new = flatten(before), flatten(about)
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if changed:
        shown = ", ".join(f"{key} ({old.get(key)} → {new.get(key)})" for key in changed[:5])
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise InputError(
            f"{folder}: the settings have changed since: {shown}{more}. Resume with the same, or "
            "start again with --overwrite."
        )
    return progress


def require_none_to_resume(folder: Path) -> None:
    """Raise an `InputError` where a run that was not finished would be lost."""
    if (folder / LAST).is_file():
        raise InputError(
            f"{folder}: holds the checkpoint of a run that was stopped. Go on from it with "
            "--resume, or start again with --overwrite."
        )


def forget(folder: Path) -> None:
    """Remove what a run that was there before left to go on from, and to report.

    Its `model.pt` stays until there is another; what is not of a run stays, too.
    """
    for pattern in (str(LAST), str(UNTRIED), BANKS, REPORT, *_LOGS):
        for path in folder.glob(pattern):
            path.unlink()


def keep_earlier_log(folder: Path) -> None:
    """Put the log of what was done before aside; `curves.read_curves` reads all parts."""
    log = folder / "logs" / "metrics.csv"
    if log.is_file():
        parts = (log.with_name(f"metrics-part-{number:04d}.csv") for number in count(1))
        log.replace(next(part for part in parts if not part.exists()))
