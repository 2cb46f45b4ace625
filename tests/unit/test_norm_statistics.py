"""Batch-norm statistics that are estimated anew from plain frames of both domains."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from cfcontra.datasets import open_dataset
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.train.checks import check_network, check_stage
from cfcontra.train.norm_statistics import estimate_statistics, live_norms, mixed_batches
from cfcontra.train.recipe import Stage


def test_first_statistics_are_the_means_over_the_batches() -> None:
    torch.manual_seed(0)
    network = build_model("light", 5).eval()
    batches = [torch.randint(0, 256, (4, 3, 32, 48), dtype=torch.uint8) for _ in range(3)]
    first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
    norm = live_norms(network)[0]
    maps = [first(batch.float() / 255.0).double() for batch in batches]
    mean = torch.stack([part.mean(dim=(0, 2, 3)) for part in maps]).mean(0)
    variance = torch.stack([part.var(dim=(0, 2, 3)) for part in maps]).mean(0)
    momentum = norm.momentum
    weights = {name: value.clone() for name, value in network.named_parameters()}
    estimate_statistics(network, batches, lambda images: images)
    assert norm.running_mean is not None and norm.running_var is not None
    assert torch.allclose(norm.running_mean.double(), mean, atol=1e-5)
    assert torch.allclose(norm.running_var.double(), variance, rtol=1e-4)
    assert norm.momentum == momentum and not any(part.training for part in network.modules())
    assert all(torch.equal(weights[name], value) for name, value in network.named_parameters())


@pytest.mark.parametrize("frames", [3, 16, 62, 400])
def test_each_batch_is_from_all_over_data_that_come_in_order(frames: int, tmp_path: Path) -> None:
    levels = np.linspace(0, 240, frames).round().astype(np.uint8)
    (tmp_path / "images").mkdir()
    for number, level in enumerate(levels):
        cv2.imwrite(str(tmp_path / f"images/{number:03d}.png"), np.full((8, 8, 3), level))
    data = open_dataset(f"folder:{tmp_path}", LABEL_SPACES["camvid11"], labelled=False)
    preprocessing = Preprocessing((8, 8), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    batches = mixed_batches(data, data, preprocessing, 0.75)
    assert [tuple(batch.shape) for batch in batches] == [(8, 3, 8, 8)] * 16
    used = torch.stack(batches)[..., 0, 0, 0].float()  # [16, 8] levels
    for part in (used[:, :2], used[:, 2:]):  # of the source, of the target
        assert len(part.unique()) == min(frames, part.numel())
    for batch in used[:, 2:]:
        if frames > 6:  # a sixth of the range apart, each
            assert (batch.diff() > 240 / 6 / 2).all()


def test_a_network_without_live_norms_is_refused_before_the_run() -> None:
    class Plain(nn.Conv2d):
        name = "plain"

    plain = Plain(3, 3, 1)
    with pytest.raises(InputError, match="'plain' has no batch normalisation"):
        check_network(Stage(norm_target=0.5), plain)  # type: ignore[arg-type]
    check_network(Stage(), plain)  # type: ignore[arg-type]


def test_target_frames_need_a_target() -> None:
    with pytest.raises(InputError, match="norm_target"):
        check_stage(Stage(norm_target=0.5), None)
