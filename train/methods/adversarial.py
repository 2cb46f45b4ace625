"""Alignment of entropy maps against a discriminator (AdvEnt, Vu et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from ..discriminator import Discriminator
from ..losses.entropy import self_information
from ..settings import AdversarialSettings
from .base import Step, Term


class Adversarial(Term):
    """The discriminator tells source from target by weighted self-information; the network
    makes target look like source to it (eq. 5–7).

    Both learn in one optimiser step: the discriminator from maps that are cut off from the
    network, the network through a discriminator whose weights are held.
    """

    sees_target = True

    def __init__(self, num_classes: int, settings: AdversarialSettings) -> None:
        super().__init__()
        self._settings = settings
        self.discriminator = Discriminator(num_classes)

    def losses(self, step: Step) -> dict[str, Tensor]:
        assert step.target is not None and step.valid is not None
        source = self_information(step.source.logits)
        target = self_information(step.target.logits) * step.valid[:, None]
        held = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        fooled = functional_call(self.discriminator, held, (target,))
        return {
            "adversarial": self._settings.weight * _cross_entropy(fooled, 0.0),
            "discriminator": 0.5
            * (
                _cross_entropy(self.discriminator(source.detach()), 0.0)
                + _cross_entropy(self.discriminator(target.detach()), 1.0)
            ),
        }

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        group = {"params": [*self.discriminator.parameters()], "name": "discriminator"}
        return [{**group, "lr": self._settings.lr, "weight_decay": 0.0}]


def _cross_entropy(logits: Tensor, domain: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        logits.float(), torch.full_like(logits, domain).float()
    )
