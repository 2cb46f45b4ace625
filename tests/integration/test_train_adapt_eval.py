"""The commands as their user calls them, on a small data set of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from cfcontra.checkpoint import load_checkpoint
from cfcontra.train import cli
from cfcontra.train.methods import METHODS

MakeFolder = Callable[..., Path]
RECIPE = {
    "label_space": "camvid11",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "train": {"steps": 3, "class_balance": 0.5, "ema": 0.5, "val_every": 2},
    "adapt": {"steps": 3, "method": "cfcontra", "style": {"name": "image-stats", "share": 0.5}},
}


@pytest.fixture
def place(tmp_path: Path, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "day", frames=4)
    make_folder(tmp_path / "dusk", frames=3, seed=5)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def _train(*more: str) -> int:
    return cli.train(
        ["--recipe", "small.yaml", "--source", "folder:day", "--run", "src", "--quiet", *more]
    )


def _adapt(*more: str) -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
            *("--run", "ad", "--quiet", *more),
        ]
    )


def test_the_whole_way(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _train("--val", "folder:dusk") == 0
    assert "mIoU" in capsys.readouterr().out
    assert _adapt("--init", "runs/src/model.pt", "--val", "folder:dusk") == 0
    model = place / "runs" / "ad" / "model.pt"
    assert cli.evaluate([str(model), "--data", "folder:dusk", "--json", "s.json", "--quiet"]) == 0
    scores = json.loads((place / "s.json").read_text())
    metadata = load_checkpoint(model).metadata
    assert metadata.training["method"] == "cfcontra"
    own = "not stated: the data is the user's own"
    assert metadata.training["licences"] == {
        "weights": "trained from scratch",  # by the run before
        "data": {"folder:day": own, "folder:dusk": own},
    }
    assert metadata.training["val"]["miou"] == pytest.approx(scores["miou"], abs=1e-4)
    assert str(place) not in json.dumps(metadata.to_dict())
    kept = load_checkpoint(model).known_prototypes()
    assert kept is not None
    assert torch.allclose(kept.norm(dim=1), torch.ones(len(kept)), atol=1e-5)
    named = [name for names in metadata.training["prototypes"].values() for name in names]
    assert sorted(named) == sorted(metadata.label_space.classes)
    recipe = yaml.safe_load((place / "runs" / "ad" / "recipe.yaml").read_text())
    assert recipe["adapt"]["steps"] == 3
    log = (place / "runs" / "ad" / "logs" / "metrics.csv").read_text().splitlines()[0]
    assert {"loss/entropy", "loss/contrast_target_to_source", "bank_cosine"} <= set(log.split(","))


def test_same_seed_same_weights(place: Path) -> None:
    states = []
    for run in ("one", "two"):
        assert _adapt("--run", run) == 0
        states.append(load_checkpoint(place / "runs" / run / "model.pt").model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_loaded_network_is_trained_with_the_statistics_of_its_batches(
    place: Path, model_file: Path, method: str
) -> None:
    assert _adapt("--init", str(model_file), "--method", method, "--steps", "1") == 0
    before, after = (
        load_checkpoint(path).model.state_dict()["encoder.stem.1.running_mean"]
        for path in (model_file, place / "runs" / "ad" / "model.pt")
    )
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    "settings",
    [
        ["--method", "source-only", "--norm_target", "0.5"],
        ["--method", "minent"],
        ["--method", "advent", "--steps", "1"],
        ["--method", "cfcontra"],
        ["--method", "self-training", "--masking.weight", "1", "--masking.patch", "8"],
        ["--mixing.weight", "1", "--ema", "0.5", "--selection.log_all", "true", "--val_every", "1"],
    ],
)
def test_adaptation_never_opens_a_target_label(
    place: Path, settings: list[str], opened_files: list[str]
) -> None:
    for label in (place / "dusk" / "labels").iterdir():
        label.write_bytes(b"poison")
    opened_files.clear()
    assert _adapt(*settings) == 0
    assert any("dusk/images" in name for name in opened_files)
    assert any("day/labels" in name for name in opened_files)
    assert not any("dusk/labels" in name for name in opened_files)


def _bad_id(place: Path) -> None:
    cv2.imwrite(str(place / "day" / "labels" / "000.png"), np.full((40, 60), 77, np.uint8))
    cv2.imwrite(str(place / "day" / "labels" / "001.png"), np.full((40, 60), 77, np.uint8))


def _target_in_other_space(place: Path) -> None:
    from cfcontra.label_space import LABEL_SPACES

    space = LABEL_SPACES["cityscapes19"].to_dict()
    (place / "dusk" / "label_space.yaml").write_text(yaml.safe_dump(space))


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (None, ["--source", "folder:nowhere"], "nowhere: no such folder"),
        (None, ["--target", "folder:nowhere"], "nowhere: no such folder"),
        (_bad_id, [], "label id 77"),
        (_target_in_other_space, [], "Label spaces 'cityscapes19' and 'camvid11' differ"),
        (None, ["--recipe", "papre"], "Did you mean 'paper'"),
        (None, ["--stepz", "3"], "Did you mean 'steps'"),
        (None, ["--steps"], "--steps: needs a value"),
        (None, ["stray"], "'stray': not expected"),
        (None, ["--device", "cuda:7"], "--device cuda:7"),
        (None, ["--device", "tpu"], "--device tpu: unknown"),
        (None, ["--threads", "0"], "--threads 0"),
        (None, ["--device", "cpu", "--precision", "fp16"], "fp16 needs a CUDA GPU"),
        (None, ["--init", "nowhere.pt"], "nowhere.pt: no such file"),
        (None, ["--run", "/proc/nowhere/run"], "cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    place: Path,
    change: Callable[[Path], None] | None,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if change is not None:
        change(place)
    assert _adapt(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error.replace("\n", " ")
    assert "Traceback" not in error
    assert not list((place).glob("runs/*/model.pt"))


def test_a_finished_run_is_not_overwritten_unasked(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train() == 0
    before = (place / "runs" / "src" / "model.pt").read_bytes()
    assert _train("--seed", "5") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (place / "runs" / "src" / "model.pt").read_bytes() == before
    assert _train("--seed", "5", "--overwrite") == 0
    assert (place / "runs" / "src" / "model.pt").read_bytes() != before


def test_init_in_another_label_space_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train() == 0
    sixteen = {**RECIPE, "label_space": "cityscapes16"}
    (place / "small.yaml").write_text(yaml.safe_dump(sixteen))
    assert _adapt("--init", "runs/src/model.pt") == 2
    assert "predicts label space 'camvid11'" in capsys.readouterr().err


def test_eval_refuses_unknown_files(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, message in [("a.xyz", "unknown kind"), ("a.pt", "no such file")]:
        assert cli.evaluate([name, "--data", "folder:day", "--quiet"]) == 2
        assert message in capsys.readouterr().err


def test_loss_that_is_not_finite_names_step_and_frames(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train("--optimizer.lr", "1e30", "--steps", "20", "--precision", "fp32") == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert "the loss is not finite" in error and "day/images" in error
    assert not (place / "runs" / "src" / "model.pt").exists()


def test_training_without_a_target_refuses_style(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train("--style.name", "image-stats") == 2
    assert "needs a target" in capsys.readouterr().err


@pytest.mark.parametrize("term", ["mixing", "masking"])
def test_training_without_a_target_refuses_terms_that_learn_from_one(
    place: Path, term: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(f"--{term}.weight", "1") == 2
    assert "needs a target" in capsys.readouterr().err
