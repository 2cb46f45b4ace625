"""Training that explodes, and a disk that is full: the last good checkpoint stays."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cfcontra.train import cli
from cfcontra.train.module import AdaptationModule
from cfcontra.train.resuming import LAST

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {
        "steps": 5,
        "method": "minent",
        "checkpoint_every": 1,
        "selection": {"score": "last"},
    },
}


@pytest.fixture
def place(make_place: Callable[..., Path]) -> Path:
    return make_place(RECIPE)


def adapt(*more: str, run: str = "ad") -> int:
    job = ["--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"]
    return cli.adapt(
        [*job, "--run", run, "--quiet", "--device", "cpu", "--threads", "1", "--no-report", *more]
    )


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def scale_weights_after(monkeypatch: pytest.MonkeyPatch, number: int, factor: float) -> None:
    ended = AdaptationModule.on_train_batch_end

    def exploding(self: AdaptationModule, outputs: Any, batch: Any, index: int) -> None:
        ended(self, outputs, batch, index)
        if batch.number == number:
            for parameter in self.network.parameters():
                parameter.data.mul_(factor)

    monkeypatch.setattr(AdaptationModule, "on_train_batch_end", exploding)


def kept(place: Path) -> dict[str, Any]:
    assert [path.name for path in (place / "runs/ad" / LAST).parent.iterdir()] == [LAST.name]
    content = torch.load(place / "runs/ad" / LAST, weights_only=True)
    assert isinstance(content, dict)
    return content


def test_a_rate_that_explodes_at_once_leaves_no_checkpoint(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--optimizer.lr", "1e30", "--optimizer.accumulate", "2") == 2
    error = said(capsys)
    assert "Step 1 (batch 2): the loss is not finite (segmentation, entropy)" in error
    assert "day/images" in error and "dusk/images" in error
    assert list((place / "runs/ad" / LAST).parent.glob("*")) == []
    assert not (place / "runs/ad/model.pt").exists()


def test_the_checkpoint_before_the_explosion_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The weights that the fourth step begins with are finite, but its loss is not."""
    scale_weights_after(monkeypatch, 2, 1e30)
    assert adapt() == 2
    assert "Step 3 (batch 3): the loss is not finite" in said(capsys)
    content = kept(place)
    assert content["cfcontra"]["batches"] == content["global_step"] == 2
    assert max(float(v.abs().max()) for v in content["state_dict"].values()) < 1e6


def test_weights_that_are_not_finite_are_not_saved(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scale_weights_after(monkeypatch, 2, float("nan"))
    assert adapt() == 2
    error = said(capsys)
    assert "network.encoder" in error and "is not finite after 3 steps" in error
    assert kept(place)["global_step"] == 2


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (["--optimizer.name", "sgd", "--entropy.weight", "1e12"], "error: encoder."),
        ([], "error: A class prototype"),  # of finite weights, whose features are not
    ],
)
def test_an_explosion_in_the_last_step_gives_no_model(
    place: Path, settings: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--steps", "1", "--optimizer.lr", "1e30", "--ema", "0", *settings) == 2
    error = said(capsys)
    assert named in error and "is not finite after the last step" in error
    assert not (place / "runs/ad/model.pt").exists()


def test_a_disk_that_is_really_full_leaves_the_checkpoint_before(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file system on which one checkpoint of 55 MB fits, but not two."""
    disk = place / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=70m", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        assert adapt(run="disk/run") == 2
        error = said(capsys)
        assert "disk/run/checkpoints/" in error and ".ckpt: no space left on the device" in error
        assert "Traceback" not in error
        content = torch.load(disk / "run" / LAST, weights_only=True)
        assert content["cfcontra"]["batches"] == 1
        assert [path.name for path in (disk / "run" / LAST).parent.iterdir()] == [LAST.name]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
