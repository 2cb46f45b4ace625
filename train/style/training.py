"""Training of a style network's decoder, without any label."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from cfcontra.allocator import keep_freed_memory
from cfcontra.datasets import open_dataset
from cfcontra.device import resolve_device, set_threads
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_bytes
from cfcontra.label_space import get_label_space
from cfcontra.preprocessing import Preprocessing
from cfcontra.visualize import encode_png

from ..data import PairedBatch, PairedDomains, PairedLoading, kept_in_memory, loader_workers
from ..precision import choose_precision
from ..progress import StepProgress
from ..settings import LightSettings
from .adain import StyleNetwork, style_losses
from .encoders import load_encoder
from .style_file import save_style

if TYPE_CHECKING:
    from ..style_command import StyleTraining

EXAMPLES = "examples.png"
_SHOWN = 3


class StyleModule(LightningModule):
    """Trains the decoder of a style network by its weighted losses."""

    def __init__(self, network: StyleNetwork, settings: StyleTraining) -> None:
        super().__init__()
        self.network, self._settings = network, settings

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.network.decoder.parameters(), lr=self._settings.lr)
        schedule = LambdaLR(optimizer, lambda step: 1.0 / (1.0 + self._settings.decay * step))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch

    def training_step(self, batch: PairedBatch, batch_idx: int) -> Tensor:
        assert batch.target is not None
        source, target = (
            part.images.to(self.device).float() / 255.0 for part in (batch.source, batch.target)
        )
        losses = style_losses(self.network, source, target)
        total: Tensor = (
            losses["content"]
            + self._settings.style_weight * losses["style"]
            + self._settings.identity_weight * losses["identity"]
        )
        if not bool(torch.isfinite(total)):
            raise InputError(f"Step {batch.number}: the loss is not finite. Lower --lr.")
        self.log("loss/total", total.detach(), prog_bar=True, batch_size=len(source))
        detached = {f"loss/{name}": value.detach() for name, value in losses.items()}
        self.log_dict(detached, batch_size=len(source))
        return total


def train_style(
    path: Path,
    settings: StyleTraining,
    source: str,
    target: str,
    encoder: str,
    device_name: str,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train a style network and write it, with a picture of `EXAMPLES` beside it.

    Args:
        path: the `style.pt` to write.
        source, target: data specs; no label is opened.
        encoder: see `load_encoder`.

    Raises:
        InputError: data, encoder or disk that do not work.
    """
    device = resolve_device(device_name)
    set_threads(threads)
    keep_freed_memory()
    space = get_label_space(settings.label_space)
    workers = loader_workers(settings.data.workers, device)
    domains = PairedDomains(
        kept_in_memory(open_dataset(source, space, labelled=False), max(1, workers)),
        kept_in_memory(open_dataset(target, space, labelled=False), max(1, workers)),
        settings.data,
        LightSettings(),
        Preprocessing(settings.data.work_size),
        settings.seed,
    )
    seed_everything(settings.seed, verbose=False)
    module = StyleModule(StyleNetwork(load_encoder(encoder)), settings)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    bar: list[Callback] = [] if quiet else [StepProgress("style")]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer = Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=choose_precision("auto", device),
            max_steps=settings.steps,
            callbacks=bar,
            logger=CSVLogger(path.parent, name="", version="logs"),
            log_every_n_steps=min(10, max(1, settings.steps // 2)),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        module.train()
        trainer.fit(module, datamodule=PairedLoading(domains, 0, settings.steps, workers))
    if trainer.interrupted:
        raise KeyboardInterrupt
    network = module.network.cpu().eval()
    chosen = ("steps", "seed", "style_weight", "identity_weight", "lr", "decay")
    record = {name: getattr(settings, name) for name in chosen}
    save_style(path, network, record)
    atomic_write_bytes(path.with_name(EXAMPLES), encode_png(_examples(network, domains[0])))


@torch.no_grad()
def _examples(network: StyleNetwork, batch: PairedBatch) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Rows of source frame, target frame, and the source with the target's look."""
    assert batch.target is not None
    source, target = (part.images[:_SHOWN].float() / 255.0 for part in (batch.source, batch.target))
    rows = torch.cat([source, target, network(source, target)], dim=3)
    shown = (rows * 255).round().byte().permute(0, 2, 3, 1)
    return np.ascontiguousarray(torch.cat([*shown]).numpy())
