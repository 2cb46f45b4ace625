"""`--hard-frames` is gone on with: the frames chosen are those of an uninterrupted job."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import GreyBackend, make_clip

import cfcontra.runtime
from cfcontra.runtime import Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video import checkpoint

pytestmark = pytest.mark.timeout(180)
FRAMES, SCENE = 40, 6


class Unsure(GreyBackend):
    """Confidence that depends on the picture alone; raises at its n-th frame, once."""

    def __init__(self, fault: BaseException | None = None, after: int = 0) -> None:
        super().__init__()
        self._fault, self._left = fault, after

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if self._fault is not None and self._left <= 0:
            fault, self._fault = self._fault, None
            raise fault
        self._left -= len(frames)
        said = super()._run(frames)
        sure = [int(frame.astype(np.uint32).sum()) % 200 + 50 for frame in frames]
        confidence = np.ones_like(said.mask) * np.array(sure, np.uint8)[:, None, None]
        return Prediction(said.mask, confidence)


def scenes(seed: int):  # type: ignore[no-untyped-def]
    """Pictures of coarse blocks that change every few frames, with a little noise."""

    def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed + number // SCENE)
        blocks = cv2.resize(rng.integers(40, 220, (3, 4, 3), dtype=np.uint8), size, interpolation=0)
        noise = np.random.default_rng(seed + 1000 + number).integers(0, 6, blocks.shape)
        return (blocks + noise).astype(np.uint8)

    return picture


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "FRAMES", 10)
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    for seed, name in ((100, "a.mp4"), (200, "b.mp4")):
        times = [1001 * n for n in range(FRAMES)]
        make_clip(tmp_path / name, times=times, picture=scenes(seed))
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, backend: GreyBackend, *arguments: str) -> int:
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)
    return segment(["--budget", "5", *arguments, "--model", "m.onnx", "--threads", "1"])


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("sources", "write", "fault"),
    [
        (("a.mp4",), "none", RuntimeError("killed")),
        (("a.mp4",), "jsonl", KeyboardInterrupt()),
        (("a.mp4", "b.mp4"), "none", KeyboardInterrupt()),
        (("a.mp4", "b.mp4"), "jsonl", RuntimeError("killed")),
    ],
)
def test_the_frames_are_those_of_an_uninterrupted_job(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    sources: tuple[str, ...],
    write: str,
    fault: BaseException,
) -> None:
    job = (*sources, "--write", write)
    assert run(monkeypatch, Unsure(), *job, "--hard-frames", "whole", "--overwrite") == 0
    for line in place.glob("*.jsonl"):
        line.unlink()
    before = FRAMES * (len(sources) - 1)
    cut = Unsure(fault, before + 25)
    expected = 130 if isinstance(fault, KeyboardInterrupt) else 2
    assert run(monkeypatch, cut, *job, "--hard-frames", "hard") == expected
    assert (place / "hard" / ".candidates").is_dir()
    assert (place / "hard" / "manifest.json").exists()  # what was found so far
    (place / "hard" / ".candidates" / "0123456789abcdef.jpg").write_bytes(b"left behind")
    rest = Unsure()
    assert run(monkeypatch, rest, *job, "--hard-frames", "hard", "--resume") == 0
    assert 0 < sum(rest.batches) <= FRAMES - 10
    assert content(place / "hard") == content(place / "whole")
    again = Unsure()
    assert run(monkeypatch, again, *job, "--hard-frames", "hard", "--resume") == 0
    assert not again.batches
    assert content(place / "hard") == content(place / "whole")


def test_a_source_that_failed_is_gone_on_with_and_no_frame_counts_twice(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ("a.mp4", "b.mp4", "--write", "none", "--hard-frames", "hard")
    assert run(monkeypatch, Unsure(RuntimeError("x"), 25), *job) == 2
    found = json.loads((place / "hard" / "manifest.json").read_text())
    assert found["sources"] == ["b.mp4"]
    assert FRAMES + 10 <= found["seen"] <= FRAMES + 25  # some were on their way
    assert run(monkeypatch, Unsure(), *job, "--resume") == 0
    found = json.loads((place / "hard" / "manifest.json").read_text())
    assert found["sources"] == ["b.mp4", "a.mp4"]
    assert found["seen"] == 2 * FRAMES
    assert sorted(path.name for path in (place / "hard").iterdir()) == ["images", "manifest.json"]


def test_frames_that_only_wait_to_be_chosen_are(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the last frame, before the choice."""
    from cfcontra.serve.video.hard_frames import HardFrames

    job = ("a.mp4", "--write", "jsonl")
    assert run(monkeypatch, Unsure(), *job, "--hard-frames", "whole") == 0
    with monkeypatch.context() as patch:
        patch.setattr(HardFrames, "_write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(monkeypatch, Unsure(), *job, "--hard-frames", "hard", "--overwrite")
    assert run(monkeypatch, Unsure(), *job, "--hard-frames", "hard", "--resume") == 0
    assert content(place / "hard") == content(place / "whole")


def test_what_cannot_be_gone_on_with_is_said(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hard = ("--write", "none", "--hard-frames", "hard")
    assert run(monkeypatch, Unsure(RuntimeError("x"), 25), "a.mp4", *hard) == 2
    assert run(monkeypatch, Unsure(), "a.mp4", *hard, "--resume", "--budget", "6") == 2
    assert "differs from this one in --budget" in capsys.readouterr().err
    assert run(monkeypatch, Unsure(), "a.mp4", *hard, "--resume") == 0
    assert run(monkeypatch, Unsure(), "a.mp4", *hard) == 2
    assert "holds frames already" in capsys.readouterr().err
    assert run(monkeypatch, Unsure(), "a.mp4", "b.mp4", *hard, "--resume") == 2
    assert "the sources it has not seen" in capsys.readouterr().err
