"""What one optimiser step does under clipping, accumulation and lower precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.checkpoint import load_checkpoint
from cfcontra.train import cli
from cfcontra.train.curves import read_curves

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {
        "steps": 1,
        "method": "source-only",
        "selection": {"score": "last"},
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0},
    },
}


@pytest.fixture
def place(make_place: Callable[..., Path]) -> Path:
    return make_place(RECIPE)


def adapt(run: str, model_file: Path, *more: str) -> Path:
    job = ["--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"]
    job += ["--init", str(model_file), "--run", run, "--quiet", "--device", "cpu", "--threads", "1"]
    assert cli.adapt([*job, "--no-report", *more]) == 0
    return Path("runs") / run


def update(run: Path, model_file: Path) -> Tensor:
    """By how much a run moved each weight, as one vector."""
    before, after = (
        dict(load_checkpoint(path).model.named_parameters())
        for path in (model_file, run / "model.pt")
    )
    return torch.cat([(after[name] - before[name]).detach().double().ravel() for name in before])


def test_a_clipped_step_is_as_long_as_the_limit_says(place: Path, model_file: Path) -> None:
    """Plain gradient descent moves by lr · gradient, whose norm is clipped to 0.5."""
    free = update(adapt("free", model_file), model_file)
    clipped = update(adapt("clipped", model_file, "--optimizer.clip", "0.5"), model_file)
    assert float(free.norm()) > 2 * 0.1 * 0.5
    assert float(clipped.norm()) == pytest.approx(0.1 * 0.5, rel=1e-3)
    assert float(F.cosine_similarity(free, clipped, dim=0)) == pytest.approx(1, abs=1e-3)


def test_two_batches_in_a_step_are_one_of_twice_the_size(
    place: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the statistics of batches, which differ, the gradients' mean is the same."""

    def fixed(self: nn.BatchNorm2d, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", fixed)
    two = update(adapt("two", model_file, "--optimizer.accumulate", "2"), model_file)
    one = update(adapt("one", model_file, "--data.batch_size", "4"), model_file)
    half = update(adapt("half", model_file), model_file)
    assert float((two - one).norm()) < 1e-3 * float(one.norm())
    assert float((half - one).norm()) > 0.1 * float(one.norm())


def test_bf16_gives_the_losses_of_fp32_nearly(place: Path, model_file: Path) -> None:
    more = ["--method", "cfcontra", "--style.name", "image-stats", "--steps", "2"]
    more += ["--contrast.pseudo_labels", "confidence", "--contrast.threshold", "0"]
    full, half = (
        read_curves(adapt(name, model_file, *more, "--precision", name) / "logs" / "metrics.csv")
        for name in ("fp32", "bf16")
    )
    losses = {name for name in full if name.startswith("loss/")}
    assert {"loss/segmentation", "loss/entropy"} <= losses
    assert len([name for name in losses if "contrast" in name]) == 4
    for name in losses:
        assert [value for _, value in half[name]] == pytest.approx(
            [value for _, value in full[name]], rel=0.1
        )
    assert full["loss/total"] != half["loss/total"]
    state = load_checkpoint(Path("runs/bf16/model.pt")).model.state_dict().values()
    assert {value.dtype for value in state if value.is_floating_point()} == {torch.float32}
