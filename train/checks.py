"""What is wrong, or odd, about a run before it starts."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from cfcontra.datasets import SegmentationDataset
from cfcontra.errors import InputError
from cfcontra.models import SegmentationModel

from .methods import target_terms
from .norm_statistics import live_norms
from .recipe import Stage
from .settings import DataSettings

LOGGER = logging.getLogger(__name__)


def check_stage(stage: Stage, target: SegmentationDataset | None) -> None:
    """Raise an `InputError` where a stage needs what it is not given."""
    if target is None and (target_terms(stage) or stage.style.name != "none"):
        raise InputError(
            f"method '{stage.method}' with style '{stage.style.name}' needs a target; "
            "use cfcontra-adapt with --target."
        )
    if target is None and stage.norm_target is not None:
        raise InputError(
            "norm_target takes frames of a target; use cfcontra-adapt with --target, or leave it "
            "out."
        )
    if target is not None and stage.selection.score == "averaging" and not stage.ema:
        raise InputError(
            "selection.score 'averaging' compares the weight average with the network, and ema "
            "is 0. Set ema, such as --ema 0.99, or another score."
        )


def check_network(stage: Stage, network: SegmentationModel) -> None:
    """Raise an `InputError` where a stage needs what its network has not."""
    if stage.norm_target is not None and not live_norms(network):
        raise InputError(
            f"norm_target: model '{network.name}' has no batch normalisation that follows the "
            "data. Leave it out."
        )


def check_data(settings: DataSettings, domains: dict[str, SegmentationDataset | None]) -> None:
    """Warn of data that a run works with, but not as its user may think.

    Args:
        domains: name → data, None where there is none.
    """
    height, width = settings.work_size
    for name, dataset in domains.items():
        if dataset is None:
            continue
        if len(dataset) < settings.batch_size:
            LOGGER.warning(
                "a batch of %d frames is larger than the %s with %d: frames repeat within a batch",
                *(settings.batch_size, name, len(dataset)),
            )
        found = dataset[0].image.shape
        if found[0] < height and found[1] < width:
            LOGGER.warning(
                "frames of the %s are %dx%d, smaller than the working size %dx%d: they are "
                "enlarged. A smaller data.work_size costs less.",
                *(name, found[0], found[1], height, width),
            )


def require_finite(state: Mapping[str, Tensor], when: str) -> None:
    """Raise an `InputError` where a weight, a buffer or the like is NaN or infinite."""
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(
                f"{name} is not finite {when}: the training has exploded, and this is not saved. "
                "Lower the learning rate or the loss weights."
            )
