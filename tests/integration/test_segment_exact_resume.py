"""What masks remember from frame to frame survives an interruption: every bit is the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import SPACE, GreyBackend, make_clip

import cfcontra.runtime
from cfcontra.runtime import Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video import checkpoint, work

pytestmark = pytest.mark.timeout(180)
FRAMES = 40


class Flickering(GreyBackend):
    """Masks of the picture's own detail with noise that depends on the picture alone.

    Raises at its n-th frame.
    """

    def __init__(self, fault: BaseException | None = None, after: int = 0) -> None:
        super().__init__()
        self._fault, self._left = fault, after

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if self._fault is not None and self._left <= 0:
            raise self._fault
        self._left -= len(frames)
        self.batches.append(len(frames))
        rng = np.random.default_rng(int(frames.sum()))
        noise = rng.integers(0, 3, frames.shape[:3], dtype=np.uint8)
        mask = np.minimum(frames[..., 1] // 40 + noise, SPACE.num_classes - 1)
        confidence = rng.integers(60, 250, frames.shape[:3], dtype=np.uint8)
        scores = rng.random((len(frames), 3)).astype(np.float32)
        return Prediction(mask.astype(np.uint8), confidence, scores)


def scene(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A textured picture that moves by a pixel a frame, so that motion is believed."""
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(size[1], size[0] + FRAMES)).astype(np.float32)
    wide = cv2.GaussianBlur(wide, (0, 0), 3)
    grey = cv2.normalize(wide, None, 20, 230, cv2.NORM_MINMAX, cv2.CV_8U)  # type: ignore[call-overload]
    return np.repeat(grey[:, number : number + size[0], None], 3, axis=2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "FRAMES", 10)
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    make_clip(tmp_path / "a.mp4", times=[1001 * n for n in range(FRAMES)], picture=scene)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, backend: GreyBackend, *arguments: str) -> int:
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)
    return segment(["a.mp4", *arguments, "--model", "m.onnx", "--threads", "1"])


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".mp4")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


WRITE = ("--write", "png,jsonl")


@pytest.mark.parametrize("options", [("--smooth",), ("--every", "7"), ("--smooth", "--every", "3")])
@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_masks_and_figures_are_those_of_an_uninterrupted_run(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    fault: BaseException,
) -> None:
    job = (*WRITE, *options)
    assert run(monkeypatch, Flickering(), *job, "--output", "whole") == 0
    every = int(options[-1]) if "--every" in options else 1
    after = -(-25 // every)
    assert run(monkeypatch, Flickering(fault, after), *job, "--output", "parts") != 0
    (journal,) = (place / "parts").glob(".*.part/journal.json")
    done = json.loads(journal.read_text())["mark"]["frames"]
    assert 0 < done < FRAMES
    assert every == 1 or done % every  # the next frame is not one the model is asked about
    rest = Flickering()
    assert run(monkeypatch, rest, *job, "--output", "parts", "--resume") == 0
    assert 0 < sum(rest.batches) < -(-FRAMES // every)
    assert content(place / "parts") == content(place / "whole")
    lines = (place / "whole" / "a-masks.jsonl").read_text().splitlines()
    if "--smooth" in options:
        assert json.loads(lines[-1])["flicker"]["before"] > 0.1


def test_the_journal_speaks_of_nothing_that_a_pulled_plug_would_take(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goes on from what had been made to reach the disk when a journal was written, alone."""
    job = ("--write", "overlay,png,jsonl", "--smooth")
    assert run(monkeypatch, Flickering(), *job, "--output", "whole") == 0
    disk = place / "disk"
    settled = work.settle
    parts = place / "parts" / ".a-segmented.mp4.part"

    def on_the_disk(folder: Path) -> None:
        settled(folder)
        shutil.rmtree(disk, ignore_errors=True)
        shutil.copytree(folder, disk)

    monkeypatch.setattr(work, "settle", on_the_disk)
    assert run(monkeypatch, Flickering(RuntimeError("x"), 25), *job, "--output", "parts") == 2
    (new,) = disk.glob(".journal*.json")  # complete, and about to get its name
    new.replace(disk / "journal.json")
    shutil.rmtree(parts)
    shutil.copytree(disk, parts)
    assert run(monkeypatch, Flickering(), *job, "--output", "parts", "--resume") == 0
    assert content(place / "parts") == content(place / "whole")


def test_results_are_on_the_disk_before_they_get_their_names(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cfcontra.serve.video import durable

    events: list[tuple[str, str]] = []
    replace = Path.replace

    def noted(what: str, original: Any) -> Any:
        def call(path: Path) -> None:
            events.append((what, path.name))
            original(path)

        return call

    def renamed(path: Path, target: Path) -> Path:
        events.append((f"rename {path.name}", target.name))
        return replace(path, target)

    monkeypatch.setattr(durable, "settle", noted("settle", durable.settle))
    monkeypatch.setattr(durable, "settle_entry", noted("settle", durable.settle_entry))
    monkeypatch.setattr(Path, "replace", renamed)
    assert run(monkeypatch, Flickering(), "--write", "overlay,png,jsonl", "--output", "out") == 0
    for result in ("a-segmented.mp4", "a-masks", "a-masks.jsonl"):
        (number,) = (n for n, event in enumerate(events) if event[1] == result)
        part = events[number][0].removeprefix("rename ")
        assert ("settle", part) in events[:number]
        assert ("settle", "out") in events[number:]


def test_a_lost_memory_is_said_and_not_made_up(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = (*WRITE, "--smooth", "--output", "out")
    assert run(monkeypatch, Flickering(RuntimeError("x"), 25), *job) == 2
    (memory,) = (place / "out").glob(".*.part/memory-*.npz")
    memory.write_bytes(b"torn")
    assert run(monkeypatch, Flickering(), *job, "--resume") == 2
    assert "Leave --resume out to start over" in capsys.readouterr().err
    memory.unlink()
    assert run(monkeypatch, Flickering(), *job, "--resume") == 2
    assert f"{memory.name} is missing" in capsys.readouterr().err
