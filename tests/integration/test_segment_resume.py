"""Going on with what was interrupted: the result is that of a run that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import GreyBackend, greys_of, make_clip, sound_of, times_of

import cfcontra.runtime
from cfcontra.errors import InputError
from cfcontra.runtime import Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video import checkpoint
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.source import Mark

pytestmark = pytest.mark.timeout(180)
FRAMES = 60


class Failing(GreyBackend):
    """Raises at its n-th frame."""

    def __init__(self, fault: BaseException | None = None, after: int = 0) -> None:
        super().__init__()
        self._fault, self._left = fault, after

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if self._fault is not None and self._left <= 0:
            raise self._fault
        self._left -= len(frames)
        return super()._run(frames)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "FRAMES", 8)
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, backend: GreyBackend, *arguments: str) -> int:
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)
    return segment([*arguments, "--model", "m.onnx", "--threads", "1"])


STEP = 1001
UNEVEN = list(np.cumsum([900 + 700 * (n % 3) + 4000 * (n % 17 == 0) for n in range(FRAMES)]))
CLIPS = {
    "even.mp4": {"audio": "aac"},
    "uneven.mp4": {"times": [int(time) for time in UNEVEN]},
    "uneven.mkv": {"times": [int(time) // 30 for time in UNEVEN], "time_base": Fraction(1, 1000)},
    "transport.ts": {"time_base": Fraction(1, 90000), "rate": Fraction(25), "audio": "aac"},
    "open.avi": {"codec": "mpeg4", "rate": Fraction(25), "time_base": Fraction(1, 25)},
}


def clip(path: Path, **options: object) -> Path:
    if "times" not in options:
        rate = options.get("rate", Fraction(30000, 1001))
        base = options.get("time_base", Fraction(1, 30000))
        assert isinstance(rate, Fraction)
        assert isinstance(base, Fraction)
        options["times"] = [n * round(1 / (rate * base)) for n in range(FRAMES)]
    return make_clip(path, **options)  # type: ignore[arg-type]


ALL = ("--write", "overlay,side-by-side,png,jsonl")


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_the_result_is_that_of_an_uninterrupted_run(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: BaseException
) -> None:
    source = clip(place / name, **CLIPS[name])
    assert run(monkeypatch, GreyBackend(), name, *ALL, "--output", "whole") == 0
    expected = 130 if isinstance(fault, KeyboardInterrupt) else 2
    assert run(monkeypatch, Failing(fault, 21), name, *ALL, "--output", "parts") == expected
    stem = source.stem
    assert (place / "parts" / f".{stem}-segmented.mp4.part").is_dir()
    if expected == 130:
        assert len(times_of(place / "parts" / f"{stem}-segmented.mp4")) == 21
    assert run(monkeypatch, Failing(fault, 20), name, *ALL, "--output", "parts", "--resume") != 0
    last = GreyBackend()
    assert run(monkeypatch, last, name, *ALL, "--output", "parts", "--resume") == 0
    assert 0 < sum(last.batches) < FRAMES - 15  # at most six frames are in flight
    assert tree(place / "parts") == tree(place / "whole")
    for path in (place / "whole").iterdir():
        other = place / "parts" / path.name
        if path.suffix == ".mp4":
            assert times_of(other) == times_of(path)
            assert len(times_of(path)) == FRAMES
            assert sound_of(other) == sound_of(path)
            for before, after in zip(greys_of(path), greys_of(other), strict=True):
                assert abs(before - after) <= 3
        elif path.suffix == ".jsonl":
            assert other.read_bytes() == path.read_bytes()
        else:
            for picture in path.iterdir():
                assert (other / picture.name).read_bytes() == picture.read_bytes()


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_killed_process_is_gone_on_from(place: Path) -> None:
    """kill −9 gives no chance to tidy up; what is on the disk must be enough."""
    clip(place / "drive.mp4", audio="aac")
    program = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import cfcontra.runtime\n"
        "from cfcontra.serve.cli import segment\n"
        "from cfcontra.serve.video import checkpoint\n"
        "from video_clips import GreyBackend\n"
        "checkpoint.FRAMES, checkpoint.SECONDS = 8, 0.0\n"
        "class Slow(GreyBackend):\n"
        "    def _run(self, frames):\n"
        "        time.sleep(0.1)\n"
        "        return super()._run(frames)\n"
        "cfcontra.runtime.open_backend = lambda *_, **__: Slow()\n"
        "sys.exit(segment(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "drive.mp4", "--model", "m.onnx"]
    command += ["--write", "overlay,jsonl", "--output", "out", "--threads", "1"]
    process = subprocess.Popen(command)
    journal = place / "out" / ".drive-segmented.mp4.part" / "journal.json"
    deadline = time.monotonic() + 120
    while not journal.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert journal.exists()
    done = json.loads(journal.read_text())["mark"]["frames"]
    assert 0 < done < FRAMES
    assert all(path.name.endswith(".part") for path in (place / "out").iterdir())
    finished = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, timeout=120, check=True
    )
    assert f"goes on at frame {done}" in finished.stderr
    assert f"{FRAMES} frames ({done} of them before)" in finished.stdout
    assert times_of(place / "out" / "drive-segmented.mp4") == times_of(place / "drive.mp4")
    lines = (place / "out" / "drive-masks.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"] for line in lines[1:]] == list(range(FRAMES))
    names = sorted(path.name for path in (place / "out").iterdir())
    assert names == ["drive-masks.jsonl", "drive-segmented.mp4"]


def test_a_job_goes_on_at_the_file_where_it_stopped(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        clip(place / name)
    job = ("a.mp4", "b.mp4", "c.mp4", "--output", "out")
    assert run(monkeypatch, Failing(KeyboardInterrupt(), FRAMES + 30), *job) == 130
    capsys.readouterr()
    rest = GreyBackend()
    assert run(monkeypatch, rest, *job, "--resume") == 0
    assert sum(rest.batches) == 2 * FRAMES - 30
    assert "out/a-segmented.mp4: done already" in capsys.readouterr().out
    for name in ("a", "b", "c"):
        assert times_of(place / "out" / f"{name}-segmented.mp4") == times_of(place / f"{name}.mp4")
    nothing = GreyBackend()
    assert run(monkeypatch, nothing, *job, "--resume") == 0
    assert nothing.batches == []


@pytest.mark.parametrize(
    "fault", [InputError("drive.mp4: reading it failed."), KeyboardInterrupt()]
)
def test_a_fault_while_going_on_costs_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    """Seeking a long file takes a while, in which Ctrl-C may come and disks may fail."""
    clip(place / "drive.mp4")
    assert run(monkeypatch, Failing(RuntimeError("x"), 30), "drive.mp4") == 2
    journal = place / ".drive-segmented.mp4.part" / "journal.json"
    before = journal.read_bytes()

    def broken(self: VideoReader, mark: Mark) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(VideoReader, "skip_to", broken)
        assert run(monkeypatch, GreyBackend(), "drive.mp4", "--resume") != 0
    assert journal.read_bytes() == before
    rest = GreyBackend()
    assert run(monkeypatch, rest, "drive.mp4", "--resume") == 0
    assert sum(rest.batches) < FRAMES
    assert times_of(place / "drive-segmented.mp4") == times_of(place / "drive.mp4")


def test_the_beginning_of_a_video_goes_on_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip(place / "drive.mp4")
    job = ("drive.mp4", "--duration", "1.5")
    assert run(monkeypatch, Failing(RuntimeError("x"), 30), *job) == 2
    rest = GreyBackend()
    assert run(monkeypatch, rest, *job, "--resume") == 0
    assert 0 < sum(rest.batches) < 30
    whole = times_of(place / "drive.mp4")
    assert times_of(place / "drive-segmented.mp4") == [time for time in whole if time < 1.5]


def test_what_a_kill_has_left_of_a_finished_video_is_cleared_away(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal goes first; a process may be killed before the rest has gone."""
    clip(place / "a.mp4")
    assert run(monkeypatch, GreyBackend(), "a.mp4") == 0
    left = place / ".a-segmented.mp4.part"
    left.mkdir()
    (left / "a-segmented-000000.mp4").touch()
    nothing = GreyBackend()
    assert run(monkeypatch, nothing, "a.mp4", "--resume") == 0
    assert nothing.batches == []
    assert sorted(path.name for path in place.iterdir()) == ["a-segmented.mp4", "a.mp4"]


def test_what_is_finished_stays_when_more_is_asked_for(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often what is added is interrupted, and in whatever order it is named."""
    clip(place / "drive.mp4")
    finished = place / "out/drive-segmented.mp4"
    assert run(monkeypatch, GreyBackend(), "drive.mp4", "--output", str(finished)) == 0
    before = (finished.stat().st_ino, finished.read_bytes())
    more = ("drive.mp4", "--output", "out", "--resume", "--opacity", "0.1")
    all_three = ("--write", "overlay,jsonl,mask")
    stopped = Failing(KeyboardInterrupt(), 21)
    assert run(monkeypatch, stopped, *more, *all_three) == 130
    assert len(times_of(place / "out/drive-mask.mp4")) == 21
    assert run(monkeypatch, Failing(RuntimeError("full"), 10), *more, *all_three) == 2
    capsys.readouterr()
    last = GreyBackend()
    assert run(monkeypatch, last, *more, "--write", "mask,overlay,jsonl") == 0
    assert 0 < sum(last.batches) < FRAMES - 15
    assert len(times_of(place / "out/drive-mask.mp4")) == FRAMES
    assert len((place / "out/drive-masks.jsonl").read_text().splitlines()) == 1 + FRAMES
    assert (finished.stat().st_ino, finished.read_bytes()) == before
    assert tree(place / "out") == ["drive-mask.mp4", "drive-masks.jsonl", "drive-segmented.mp4"]
    assert "out/drive-segmented.mp4: done already" in capsys.readouterr().out
    assert run(monkeypatch, GreyBackend(), *more, "--write", "overlay,png") == 0
    assert (finished.stat().st_ino, finished.read_bytes()) == before


def test_the_beginning_of_a_result_is_not_taken_for_a_finished_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip(place / "a.mp4")
    both = ("a.mp4", "--write", "mask,jsonl")
    assert run(monkeypatch, Failing(KeyboardInterrupt(), 21), *both) == 130
    lines = place / "a-masks.jsonl"
    assert len(lines.read_text().splitlines()) == 1 + 21
    assert run(monkeypatch, GreyBackend(), "a.mp4", "--write", "jsonl", "--resume") == 0
    whole = lines.read_bytes()
    assert len(whole.splitlines()) == 1 + FRAMES
    assert run(monkeypatch, GreyBackend(), *both, "--resume") == 0
    assert lines.read_bytes() == whole
    assert len(times_of(place / "a-mask.mp4")) == FRAMES
    assert tree(place) == ["a-mask.mp4", "a-masks.jsonl", "a.mp4"]


def test_another_setting_or_source_is_not_mixed_in(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip(place / "a.mp4")
    assert run(monkeypatch, Failing(RuntimeError("x"), 30), "a.mp4") == 2
    assert run(monkeypatch, GreyBackend(), "a.mp4", "--resume", "--opacity", "0.7") == 2
    assert "differs from this one in --opacity" in capsys.readouterr().err
    clip(place / "a.mp4", size=(96, 64))
    assert run(monkeypatch, GreyBackend(), "a.mp4", "--resume") == 2
    assert "differs from this one in the source" in capsys.readouterr().err
    fresh = GreyBackend()
    assert run(monkeypatch, fresh, "a.mp4") == 0
    assert sum(fresh.batches) == FRAMES
    assert sorted(path.name for path in place.iterdir()) == ["a-segmented.mp4", "a.mp4"]


def test_pictures_go_on_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    (place / "shots").mkdir()
    for number in range(30):
        cv2.imwrite(str(place / "shots" / f"{number}.png"), np.full((32, 48), 8 * number, np.uint8))
    (place / "shots" / "5.png").write_bytes(b"damaged")
    assert run(monkeypatch, Failing(RuntimeError("x"), 20), "shots", "--write", "png") == 2
    assert run(monkeypatch, GreyBackend(), "shots", "--write", "png", "--resume") == 0
    names = sorted(path.stem for path in (place / "shots-masks").iterdir())
    assert names == sorted(str(number) for number in range(30) if number != 5)


def test_two_processes_do_not_write_one_result(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cfcontra.serve.video.work import WorkFolder

    clip(place / "a.mp4")
    with WorkFolder(place / ".a-segmented.mp4.part", {}):
        assert run(monkeypatch, GreyBackend(), "a.mp4") == 2
    assert "another process is writing this result" in capsys.readouterr().err
