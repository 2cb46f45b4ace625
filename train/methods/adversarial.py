"""Alignment of entropy maps against a discriminator (AdvEnt, Vu et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from cfcontra.models import SegmentationModel

from ..discriminator import Discriminator
from ..losses.entropy import self_information
from ..optim import DISCRIMINATOR
from ..settings import AdversarialSettings
from .base import Step, Term, resize_mask


class Adversarial(Term):
    """The discriminator tells source from target by weighted self-information; the network
    makes target look like source to it (eq. 5–7).

    Both learn in one optimiser step: the discriminator from maps that are cut off from the
    network, the network through a discriminator whose weights are held. A network with auxiliary
    logits has a discriminator for those, too (the multi-level AdvEnt).
    """

    sees_target = True

    def __init__(self, model: SegmentationModel, settings: AdversarialSettings) -> None:
        super().__init__()
        self._settings = settings
        self.discriminator = Discriminator(model.out_classes)
        self.aux_discriminator = Discriminator(model.out_classes) if model.has_aux_logits else None

    def losses(self, step: Step) -> dict[str, Tensor]:
        assert step.target is not None and step.valid is not None
        fooled, told = _level(
            self.discriminator, step.source.logits, step.target.logits, step.valid
        )
        losses = {"adversarial": self._settings.weight * fooled, "discriminator": told}
        source, target = step.source.aux_logits, step.target.aux_logits
        if self.aux_discriminator is not None and source is not None and target is not None:
            valid = resize_mask(step.valid, target)
            fooled, told = _level(self.aux_discriminator, source, target, valid)
            losses["adversarial_aux"] = self._settings.aux_weight * fooled
            losses["discriminator_aux"] = told
        return losses

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        group = {"params": [*self.parameters()], "name": DISCRIMINATOR}
        return [{**group, "lr": self._settings.lr, "weight_decay": 0.0}]


def _level(
    discriminator: Discriminator, source_logits: Tensor, target_logits: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """The network's loss and the discriminator's.

    Args:
        valid: bool `[M, h, w]` at the target logits' size.
    """
    source = self_information(source_logits)
    target = self_information(target_logits) * valid[:, None]
    held = {name: p.detach() for name, p in discriminator.named_parameters()}
    fooled = _cross_entropy(functional_call(discriminator, held, (target,)), 0.0)
    told = 0.5 * (
        _cross_entropy(discriminator(source.detach()), 0.0)
        + _cross_entropy(discriminator(target.detach()), 1.0)
    )
    return fooled, told


def _cross_entropy(logits: Tensor, domain: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        logits.float(), torch.full_like(logits, domain).float()
    )
