"""What training says of input that does not fit; nothing is lost or left behind."""

from __future__ import annotations

import inspect
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import av
import cv2
import numpy as np
import pytest
import torch
from lightning.pytorch import loggers
from lightning.pytorch.loggers import CSVLogger

from cfcontra.checkpoint import load_checkpoint
from cfcontra.models import MODELS
from cfcontra.models.light import LightSegmenter
from cfcontra.train import cli
from cfcontra.train.loggers import SERVICES, build_loggers
from cfcontra.train.resuming import LAST

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {"steps": 3, "method": "minent", "checkpoint_every": 1},
}


@pytest.fixture
def place(make_place: Callable[..., Path]) -> Path:
    return make_place(RECIPE)


def adapt(*more: str, target: str = "folder:dusk") -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", target),
            *("--run", "ad", "--device", "cpu", "--no-report", *more),
        ]
    )


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_a_class_that_the_whole_source_lacks_is_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (place / "day" / "labels").iterdir():
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        ids[ids == 9] = 255
        cv2.imwrite(str(path), ids)
    assert adapt() == 0
    assert "no pixel of pedestrian" in said(capsys).replace(", ", " ").replace("of sky", "of")


def test_batch_and_working_size_larger_than_the_data(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--data.batch_size", "5", "--data.work_size", "[512, 512]", "--steps", "1") == 0
    text = said(capsys)
    assert "a batch of 5 frames is larger than the target with 3" in text
    height, width = cv2.imread(str(next((place / "dusk" / "images").iterdir()))).shape[:2]
    assert f"{height}x{width}, smaller than the working size 512x512" in text


def test_a_network_beside_a_model_to_start_from(
    place: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--init", str(model_file), "--model.name", "segformer-b0") == 2
    assert "with --init the network is that of" in said(capsys)


def test_a_run_that_another_process_writes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from pathlib import Path; from cfcontra.claim import claimed\n"
        "with claimed(Path('runs/ad')): print('held', flush=True); sys.stdin.read()"
    )
    (place / "runs" / "ad").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        assert adapt("--overwrite") == 2
        assert "another process is writing there" in said(capsys)
        other.kill()
    assert adapt("--overwrite") == 0  # a claim ends with its process
    assert not (place / "runs" / "ad" / ".lock").exists()


def test_averaging_without_an_average(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert adapt("--selection.score", "averaging") == 2
    assert "Set ema" in said(capsys)
    assert not (place / "runs" / "ad").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("folder:nowhere", "nowhere: no such folder"),
        ("video:empty.avi", "video:empty.avi: no usable frame in 1 file(s)"),
        ("video:no*.mp4", "video:no*.mp4: no such file"),
    ],
)
def test_nothing_stays_of_a_run_that_could_not_start(
    place: Path, target: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with av.open("empty.avi", "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert Path("empty.avi").stat().st_size
    assert adapt(target=target) == 2
    text = said(capsys)
    assert text.startswith(f"error: {message}")
    assert not (place / "runs" / "ad").exists()


def test_a_video_of_one_colour_has_no_second_frame_to_learn_from(place: Path) -> None:
    """Frames that do not differ are one frame, and one is enough to run."""
    with av.open("still.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 64, 48
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
        for _ in range(5):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert adapt(target="video:still.mp4") == 0


@pytest.mark.parametrize(
    "raised",
    [
        urllib.error.URLError("Name or service not known"),
        ConnectionError("no route to host"),
        OSError("We couldn't connect to the hub"),
    ],
)
def test_a_hub_that_cannot_be_reached(
    place: Path,
    raised: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def unreachable(_: LightSegmenter) -> dict[str, torch.Tensor]:
        raise raised

    monkeypatch.setattr(LightSegmenter, "published_state", unreachable)
    assert adapt("--model.weights", "imagenet") == 2
    text = said(capsys)
    assert "cannot be downloaded" in text and "give its path" in text


class Published(LightSegmenter):
    """A network that another layout's weights make another one, as AdvEnt's do."""

    def __init__(self, num_classes: int, layout: str = "own") -> None:
        super().__init__(num_classes)
        self.options = {"layout": layout}

    def published_state(self) -> dict[str, torch.Tensor]:
        return {}

    def adopt(self, state: dict[str, torch.Tensor], where: str) -> None:
        self.options = {"layout": "theirs"}


def test_a_resumed_run_asks_no_hub_and_has_the_network_that_its_weights_brought(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "light", Published)
    assert adapt("--model.weights", "imagenet") == 0

    def unreachable(_: LightSegmenter) -> dict[str, torch.Tensor]:
        raise AssertionError("asked")

    monkeypatch.setattr(Published, "published_state", unreachable)
    (place / "runs/ad/model.pt").unlink()
    assert adapt("--model.weights", "imagenet", "--resume") == 0
    assert load_checkpoint(place / "runs/ad/model.pt").metadata.model["layout"] == "theirs"


def test_after_a_full_disk_the_run_goes_on_from_the_checkpoint_before(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--run", "whole", "--quiet") == 0
    save, written = torch.save, []

    def refusing(content: object, stream: BinaryIO) -> None:
        if written:
            stream.write(b"half")
            raise OSError(28, "No space left on device")
        save(content, stream)
        written.append(stream.name)

    monkeypatch.setattr(torch, "save", refusing)
    assert adapt("--quiet") == 2
    assert "no space left" in said(capsys)
    monkeypatch.setattr(torch, "save", save)
    assert (place / "runs/ad" / LAST).is_file() and not (place / "runs/ad/model.pt").exists()
    assert adapt("--quiet", "--resume") == 0
    one, two = (
        torch.load(place / "runs" / run / "model.pt", weights_only=True)["state_dict"]
        for run in ("whole", "ad")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_lightning_takes_what_a_service_is_set_up_with(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's own signature, with the package or without it."""
    signature = inspect.signature(getattr(loggers, SERVICES[name]))
    kept: list[CSVLogger] = []

    def service(**given: str) -> CSVLogger:
        bound = signature.bind(**given)
        assert {*bound.arguments.get("kwargs", {})} <= {"name"}  # Comet's, which hands it on
        kept.append(CSVLogger(tmp_path, name="", version="service"))
        return kept[-1]

    monkeypatch.setattr(loggers, SERVICES[name], service)
    *_, built = build_loggers(tmp_path / "ad", [name], {"steps": 3})
    assert kept == [built]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])  # Comet asks for a key
def test_a_service_logs_without_a_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    before = {*tmp_path.rglob("*")}
    *_, built = build_loggers(tmp_path / "ad", [name], {"steps": 3})
    built.log_metrics({"loss/total": 1.5}, 2)
    built.finalize("success")
    assert {*tmp_path.rglob("*")} - before


def test_a_tracking_service_gets_the_figures(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("--logger", "wandb") == 2
    assert "pip install wandb" in said(capsys)
    assert not (place / "runs" / "ad").exists()
    kept: list[CSVLogger] = []

    def service(project: str, name: str, save_dir: str) -> CSVLogger:
        assert (project, name) == ("cfcontra", "ad")
        kept.append(CSVLogger(save_dir, name="", version="service"))
        return kept[-1]

    monkeypatch.setitem(sys.modules, "wandb", ModuleType("wandb"))
    monkeypatch.setattr("lightning.pytorch.loggers.WandbLogger", service)
    assert adapt("--logger", "wandb") == 0
    own, its = (
        (place / "runs" / "ad" / "logs" / part / "metrics.csv").read_text()
        for part in ("", "service")
    )
    assert own == its
    assert kept[0].experiment.hparams["recipe"]["adapt"]["method"] == "minent"

    def refuse(**_: str) -> None:
        raise RuntimeError("no key\nand more")

    monkeypatch.setattr("lightning.pytorch.loggers.WandbLogger", refuse)
    assert adapt("--logger", "wandb", "--overwrite") == 2
    assert "--logger wandb: it did not start (no key)." in said(capsys)
