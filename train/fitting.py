"""The steps of a run, by Lightning."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, LearningRateMonitor

from cfcontra.datasets import SegmentationDataset
from cfcontra.errors import InputError
from cfcontra.files import describe_os_error

from .averaging import WeightAverage
from .data import PairedDomains, PairedLoading, loader_workers
from .loggers import build_loggers
from .module import AdaptationModule
from .panels import Panels
from .precision import choose_precision
from .progress import StepProgress
from .request import RunRequest
from .resuming import LAST, AtomicCheckpointIO, Checkpoints
from .selection import Selection
from .validation import Validation

LOGGER = logging.getLogger(__name__)


def fit(
    module: AdaptationModule,
    request: RunRequest,
    domains: PairedDomains,
    target: SegmentationDataset | None,
    val: SegmentationDataset | None,
    selection: Selection | None,
    device: torch.device,
    placement: dict[str, Any],
    done: int,
) -> Trainer:
    """Take a run's steps.

    Args:
        placement: accelerators and processes, as keywords of Lightning's `Trainer`.
        done: batches that were taken before, of a resumed run.

    Raises:
        KeyboardInterrupt: stopped by the user; the last checkpoint stays.
        InputError: a loss or a weight that is not finite, or a disk that is full.
    """
    recipe, stage = request.recipe, module.stage
    callbacks: list[Callback] = [
        LearningRateMonitor("step"),
        Checkpoints(request.folder, stage.checkpoint_every, request.about()),
    ]
    if stage.ema:
        callbacks.append(WeightAverage(decay=stage.ema))
    if selection is not None:
        callbacks.append(selection)
    if every := stage.looked_at_every:
        if val is not None:
            callbacks.append(Validation(val, every, stage.val_frames))
        shown = Panels(domains.source, every) if target is None else Panels(target, every)
        callbacks.append(shown)
    if not request.quiet:
        callbacks.append(StepProgress(request.stage))
    precision = choose_precision(recipe.precision, device)
    LOGGER.info(
        "%s: %s, %d steps, %s on %s", request.stage, stage.method, stage.steps, precision, device
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            **placement,
            precision=precision,
            max_steps=stage.steps,
            gradient_clip_val=stage.optimizer.clip or None,
            accumulate_grad_batches=stage.optimizer.accumulate,
            plugins=[AtomicCheckpointIO()],
            callbacks=callbacks,
            logger=build_loggers(request.folder, request.loggers, request.about()),
            log_every_n_steps=min(10, max(1, stage.steps // 2)),
            enable_checkpointing=False,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        workers = loader_workers(recipe.data.workers, device)
        batches = stage.steps * stage.optimizer.accumulate
        try:
            trainer.fit(
                module,
                datamodule=PairedLoading(domains, done, batches, workers),
                ckpt_path=request.folder / LAST if request.resume else None,
                weights_only=True,
            )
        except OSError as error:
            if error.errno is None or error.filename is not None:
                raise
            # The loggers' writers say no name.
            raise InputError(describe_os_error(error, request.folder / "logs")) from error
    if trainer.interrupted:
        raise KeyboardInterrupt
    return trainer
