"""A run that is killed and resumed ends as one that was not."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
import yaml

from cfcontra.checkpoint import load_checkpoint
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.train import cli
from cfcontra.train.curves import read_curves
from cfcontra.train.recipe import load_recipe
from cfcontra.train.request import RunRequest
from cfcontra.train.resuming import LAST, forget, keep_earlier_log, read_progress

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0, "rare_classes": 0.1},
    "adapt": {
        "steps": 9,
        "method": "cfcontra",
        "ema": 0.9,
        "checkpoint_every": 2,
        "class_balance": 0.4,
        "light": {"jitter": 0.3, "blur": 0.5},
        "style": {"name": "image-stats", "share": 0.5},
        "contrast": {"pseudo_labels": "teacher", "pixels_per_class": 20},
        "teacher": {"threshold": 0.1},
        "mixing": {"weight": 1.0},
        "masking": {"weight": 1.0, "patch": 8},
        "optimizer": {"warmup": 3, "accumulate": 2},
    },
}
# Runs the command, but dies without any warning in the middle of a batch.
_DIES = """
import os, signal, sys
from cfcontra.train import cli
from cfcontra.train.module import AdaptationModule
step = AdaptationModule.training_step
def dying(self, batch, index):
    if batch.number == {batch}:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)
AdaptationModule.training_step = dying
sys.exit(cli.adapt(sys.argv[1:]))
"""


@pytest.fixture
def place(make_place: Callable[..., Path], model_file: Path) -> Path:
    place = make_place(RECIPE)
    shutil.copy(model_file, place / "first.pt")
    return place


def arguments(run: str, *more: str) -> list[str]:
    return [
        *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
        *(
            "--init",
            "first.pt",
            "--run",
            run,
            "--quiet",
            "--no-report",
            "--device",
            "cpu",
            "--threads",
            "1",
            *more,
        ),
    ]


def kill_at(batch: int, run: str, *more: str) -> None:
    code = _DIES.format(batch=batch)
    ended = subprocess.run([sys.executable, "-c", code, *arguments(run, *more)], check=False)
    assert ended.returncode == -signal.SIGKILL


def final_state(run: str) -> dict[str, Any]:
    state = torch.load(Path("runs") / run / "model.pt", weights_only=True)["state_dict"]
    assert isinstance(state, dict)
    return state


def everything(run: str) -> dict[str, torch.Tensor]:
    """Weights, averages, banks and teacher in the last checkpoint."""
    content = torch.load(Path("runs") / run / LAST, weights_only=True)
    return {
        **content["state_dict"],
        **{f"now.{k}": v for k, v in content["current_model_state"].items()},
    }


def test_killed_twice_and_resumed_ends_bit_for_bit_the_same(place: Path) -> None:
    val = ("--val", "folder:dusk")
    assert cli.adapt(arguments("whole", *val)) == 0
    kill_at(7, "cut", *val)
    assert not (place / "runs/cut/model.pt").exists()
    kill_at(13, "cut", "--resume", *val)
    assert cli.adapt(arguments("cut", "--resume", *val)) == 0
    scores = [load_checkpoint(Path("runs") / run / "model.pt") for run in ("whole", "cut")]
    one, two = (checkpoint.metadata.training for checkpoint in scores)
    assert one["val"]["miou"] > 0 and one["val"] == two["val"]
    assert one["selection"] == two["selection"]
    one, two = final_state("whole"), final_state("cut")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    one, two = everything("whole"), everything("cut")
    assert {
        "method.terms.2.source_bank.prototypes",
        "method.terms.2.target_bank.seen",
    } <= one.keys()
    assert any(name.startswith("method.teacher.") for name in one)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    one, two = (
        read_curves(Path("runs") / run / "logs" / "metrics.csv") for run in ("whole", "cut")
    )
    name = "loss/total"
    assert one[name][-1] == two[name][-1] and len(two[name]) >= len(one[name])


def test_resume_with_other_settings_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kill_at(7, "cut")
    assert cli.adapt(arguments("cut", "--resume", "--optimizer.lr", "0.5", "--steps", "12")) == 2
    error = capsys.readouterr().err
    assert "settings have changed" in error
    assert "recipe.adapt.optimizer.lr (0.001 → 0.5)" in error
    assert "recipe.adapt.steps (9 → 12)" in error


def test_a_label_space_whose_file_has_changed_is_refused(place: Path) -> None:
    """Under the same name: colours decide what is drawn, ids what is learned."""
    space = LABEL_SPACES["camvid11"].to_dict()
    own = place / "own.yaml"

    def about(**changed: Any) -> dict[str, Any]:
        own.write_text(yaml.safe_dump({**space, **changed}))
        recipe = load_recipe("small.yaml", "adapt", {"label_space": "own.yaml"})
        return RunRequest(Path("runs/cut"), recipe, "adapt", "folder:day", "folder:dusk").about()

    (place / "runs/cut" / LAST).parent.mkdir(parents=True)
    torch.save({"cfcontra": {"about": about(), "batches": 4}}, place / "runs/cut" / LAST)
    assert read_progress(Path("runs/cut"), about()).batches == 4
    with pytest.raises(InputError, match=r"changed since: label_space\.colors "):
        read_progress(Path("runs/cut"), about(colors=space["colors"][::-1]))
    with pytest.raises(InputError, match=r"changed since: label_space\.classes "):
        read_progress(Path("runs/cut"), about(classes=space["classes"][::-1]))
    with pytest.raises(InputError, match=r"changed since: label_space\.raw_ids\.7 \(7 → 3\)\. R"):
        read_progress(Path("runs/cut"), about(raw_ids={**space["raw_ids"], "7": 3}))


def test_changed_fields_beyond_five_are_counted(place: Path) -> None:
    (place / "runs/cut" / LAST).parent.mkdir(parents=True)
    fields = dict.fromkeys("abcdefg", 1)
    torch.save({"cfcontra": {"about": fields, "batches": 4}}, place / "runs/cut" / LAST)
    with pytest.raises(InputError, match=r"a \(1 → 2\), .*, e \(1 → 2\) and 2 more\. Resume"):
        read_progress(Path("runs/cut"), dict.fromkeys(fields, 2))


def test_nothing_to_resume(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.adapt(arguments("new", "--resume")) == 2
    assert "no checkpoint to go on from" in capsys.readouterr().err
    (place / "runs/new" / LAST).parent.mkdir(parents=True)
    (place / "runs/new" / LAST).write_bytes(b"hello")
    assert cli.adapt(arguments("new", "--resume")) == 2
    assert "not a checkpoint of this package" in capsys.readouterr().err


def test_a_new_run_does_not_leave_an_old_checkpoint(place: Path) -> None:
    kill_at(7, "cut")
    before = (place / "runs/cut" / LAST).stat().st_mtime_ns
    kill_at(1, "cut", "--overwrite")
    assert before and not (place / "runs/cut" / LAST).exists()


def test_a_run_that_was_stopped_is_not_lost_by_starting_it_again(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "runs/cut"
    kept = {run / LAST: b"state", run / "logs/metrics.csv": b"step,loss/total\n"}
    for path, content in kept.items():
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    assert cli.adapt(arguments("cut")) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "runs/cut: holds the checkpoint of a run that was stopped" in error
    assert "--resume, or start again with --overwrite." in error
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_new_run_forgets_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    old = ("checkpoints/last.ckpt", "checkpoints/untried.ckpt", "banks.pt", "report.html")
    old += ("logs/metrics.csv", "logs/metrics-part-0001.csv", "logs/hparams.yaml")
    old += ("logs/events.out.tfevents.12.host.3.0",)
    others = {"model.pt", "notes.txt", "logs/wandb/run.yaml", "checkpoints/mine.ckpt"}
    for name in (*old, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    forget(tmp_path)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert files == others


def test_the_logs_of_all_parts_are_kept(tmp_path: Path) -> None:
    """Also where two of them went on from the same checkpoint; each knows some steps alone."""
    log = tmp_path / "logs" / "metrics.csv"
    log.parent.mkdir()
    for steps in ((9, 19, 29), (19, 29), (29, 39), (29, 49)):
        keep_earlier_log(tmp_path)
        rows = [f"{step},{step / 2}\n" for step in steps]
        log.write_text("step,loss/total\n" + "".join(rows))
    expected = [(step, step / 2) for step in (9, 19, 29, 39, 49)]
    assert read_curves(log) == {"loss/total": expected}


def test_a_full_disk_leaves_the_checkpoint_before(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved: list[bytes] = []
    save = torch.save

    def refusing(content: Any, stream: BinaryIO) -> None:
        if saved:
            stream.write(b"half")
            raise OSError(28, "No space left on device")
        save(content, stream)
        stream.flush()
        saved.append(Path(stream.name).read_bytes())

    monkeypatch.setattr(torch, "save", refusing)
    assert cli.adapt(arguments("full")) == 2
    assert "no space left" in capsys.readouterr().err
    folder = (place / "runs/full" / LAST).parent
    assert [path.name for path in folder.iterdir()] == [LAST.name]
    assert (folder / LAST.name).read_bytes() == saved[0]
