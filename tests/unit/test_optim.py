"""The optimiser of a network and its discriminators: against torch's own, each for itself."""

from __future__ import annotations

import copy
import io
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from cfcontra.train.optim import DISCRIMINATOR, build_optimizer, poly_schedule
from cfcontra.train.settings import OptimizerSettings

SETTINGS = OptimizerSettings("sgd", lr=0.1, momentum=0.9, weight_decay=0.1, power=1.0)
STEPS = 8


def parts() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    return nn.Linear(3, 4), nn.Linear(4, 1)


def backward(network: nn.Module, discriminator: nn.Module, step: int) -> float:
    frames = torch.rand(5, 3, generator=torch.Generator().manual_seed(step))
    loss: Tensor = discriminator(network(frames)).square().mean()
    loss.backward()
    return float(loss.detach())


def groups(network: nn.Module, discriminator: nn.Module) -> list[dict[str, Any]]:
    own = {"params": [*discriminator.parameters()], "name": DISCRIMINATOR}
    return [
        {"params": [*network.parameters()], "name": "encoder", "lr": 0.1},
        {**own, "lr": 0.01, "weight_decay": 0.0},
    ]


def test_a_discriminator_takes_adam_beside_sgd() -> None:
    """To the bit, under the schedule, and through a checkpoint in the middle."""
    one, two = parts()
    sgd = SGD(one.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    adam = Adam(two.parameters(), lr=0.01, betas=(0.9, 0.99))
    expected, losses = [], []
    for step in range(STEPS):
        sgd.param_groups[0]["lr"] = 0.1 * (1 - step / STEPS)
        adam.param_groups[0]["lr"] = 0.01 * (1 - step / STEPS)
        expected.append(backward(one, two, step))
        for plain in (sgd, adam):
            plain.step()
            plain.zero_grad()
    network, discriminator = parts()
    optimizer = build_optimizer(groups(network, discriminator), SETTINGS)
    schedule = poly_schedule(optimizer, SETTINGS, STEPS)
    for step in range(STEPS):
        if step == 3:
            kept = io.BytesIO()
            torch.save((optimizer.state_dict(), schedule.state_dict()), kept)
            network, discriminator = copy.deepcopy((network, discriminator))
            optimizer = build_optimizer(groups(network, discriminator), SETTINGS)
            schedule = poly_schedule(optimizer, SETTINGS, STEPS)
            kept.seek(0)
            states = torch.load(kept, weights_only=True)
            optimizer.load_state_dict(states[0])
            schedule.load_state_dict(states[1])
        optimizer.zero_grad()
        losses.append(optimizer.step(partial(backward, network, discriminator, step)))
        schedule.step()
    assert losses == expected
    assert torch.equal(network.weight, one.weight) and torch.equal(network.bias, one.bias)
    assert torch.equal(discriminator.weight, two.weight)


def test_without_a_discriminator_sgd_is_torchs_own() -> None:
    network, discriminator = parts()
    assert type(build_optimizer(groups(network, discriminator)[:1], SETTINGS)) is SGD
