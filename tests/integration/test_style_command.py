"""`cfcontra-train style`, and an adaptation with what it wrote."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
import torch

from cfcontra.checkpoint import load_checkpoint
from cfcontra.train import cli
from cfcontra.train.style import training
from cfcontra.train.style.style_file import load_style

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {
        "steps": 4,
        "method": "minent",
        "checkpoint_every": 2,
        "style": {"name": "adain", "file": "runs/look/style.pt", "share": 0.5},
        "selection": {"score": "last"},  # the two that are compared are of the same step
    },
}


@pytest.fixture
def place(make_place: Callable[..., Path], model_file: Path) -> Path:
    place = make_place(RECIPE)
    shutil.copy(model_file, place / "first.pt")
    return place


def style(*more: str) -> int:
    return cli.train(
        [
            *("style", "--source", "folder:day", "--target", "folder:dusk", "--run", "look"),
            *("--label_space", "camvid11", "--data.work_size", "[32, 48]", "--device", "cpu"),
            *("--encoder", "first.pt", "--data.batch_size", "2", "--data.workers", "0", *more),
        ]
    )


def adapt(*more: str) -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
            *("--device", "cpu", "--no-report", "--quiet", *more),
        ]
    )


def test_a_style_is_trained_and_used(
    place: Path, opened_files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert style("--steps", "12") == 0
    assert "style.pt" in capsys.readouterr().out
    assert not [name for name in opened_files if "/labels/" in name]
    look = place / "runs" / "look"
    with (look / "logs" / "metrics.csv").open() as lines:
        rows = [*csv.DictReader(lines)]
    assert {"loss/total", "loss/content", "loss/style", "loss/identity"} <= set(rows[0])
    assert float(rows[-1]["loss/total"]) < float(rows[0]["loss/total"])
    rows_of_three, columns = cv2.imread(str(look / "examples.png")).shape[:2]
    assert (rows_of_three, columns) == (2 * 32, 3 * 48)
    network = load_style(look / "style.pt")
    own = load_checkpoint(place / "first.pt").model.encoder.stem.state_dict()
    kept = network.encoder.stem.state_dict()
    assert all(torch.equal(kept[name], own[name]) for name in own)
    assert str(place) not in str(torch.load(look / "style.pt", weights_only=True)["training"])

    assert adapt("--init", "first.pt", "--run", "whole") == 0
    assert adapt("--init", "first.pt", "--run", "plain", "--style.name", "none") == 0
    whole, plain = (
        load_checkpoint(place / "runs" / run / "model.pt") for run in ("whole", "plain")
    )
    assert whole.metadata.training["style"] == "adain"
    one, other = whole.model.state_dict(), plain.model.state_dict()
    assert set(one) == set(other)
    assert not all(torch.equal(one[name], other[name]) for name in one)

    assert adapt("--init", "first.pt", "--run", "whole", "--overwrite") == 0
    repeated = load_checkpoint(place / "runs" / "whole" / "model.pt").model.state_dict()
    assert all(torch.equal(one[name], repeated[name]) for name in one)


def test_what_does_not_fit(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert adapt("--run", "ad") == 2
    assert "runs/look/style.pt: no such style file" in capsys.readouterr().err
    assert style("--encoder", "first.txt") == 2
    assert "first.txt" in capsys.readouterr().err
    assert style("--stepz", "3") == 2
    assert "--stepz" in (said := capsys.readouterr().err) and "steps" in said
    assert style("--lr", "1e30", "--steps", "5") == 2
    assert "not finite" in capsys.readouterr().err
    assert not (place / "runs" / "look" / "style.pt").exists()
    assert style("--steps", "1", "--quiet") == 0
    before = (place / "runs" / "look" / "style.pt").read_bytes()
    assert style("--steps", "1") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (place / "runs" / "look" / "style.pt").read_bytes() == before


def test_what_a_folder_holds_is_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look = place / "runs" / "look"
    (look / "logs").mkdir(parents=True)
    (look / "checkpoints").mkdir()
    (look / "logs" / "metrics.csv").write_text("a run's")
    for name in ("model.pt", "run.yaml", "checkpoints/last.ckpt"):
        (look / name).write_text("a run's")
        assert style("--steps", "1", "--overwrite") == 2
        assert f"holds a run ({name})" in capsys.readouterr().err
        (look / name).unlink()
    assert (look / "logs" / "metrics.csv").read_text() == "a run's"
    (look / "examples.png").write_text("mine")
    assert style("--steps", "1") == 2
    assert "examples.png: exists already" in capsys.readouterr().err
    assert style("--steps", "1", "--overwrite", "--quiet") == 0
    assert cv2.imread(str(look / "examples.png")) is not None


def test_its_folder_is_claimed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks: list[bool] = []
    monkeypatch.setattr(
        training, "train_style", lambda path, *_: locks.append((path.parent / ".lock").exists())
    )
    assert style() == 0
    assert locks == [True] and not (place / "runs" / "look" / ".lock").exists()
