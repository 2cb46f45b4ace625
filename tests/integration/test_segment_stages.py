"""A fault in every stage, and a slow one: no hang, no thread left, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import GreyBackend, make_clip, times_of

import cfcontra.runtime
from cfcontra.errors import InputError
from cfcontra.runtime import Prediction
from cfcontra.serve import cli
from cfcontra.serve.video import Frame, Source, VideoFormat, segment, segment_video
from cfcontra.serve.video.color import BT709
from cfcontra.serve.video.compose import Overlay
from cfcontra.serve.video.mp4 import Mp4File
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.shape import RgbConverter
from cfcontra.serve.video.sink import Context, Segmented, Sink
from cfcontra.serve.video.writer import VideoWriter

pytestmark = pytest.mark.timeout(120)
FRAMES = 60
MIDDLE = 20


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drive") / "drive.mp4"
    return make_clip(path, times=[1001 * n for n in range(FRAMES)], audio="aac")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class Streaming(GreyBackend):
    streams = 3


def failing(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, fault: BaseException
) -> Callable[[], int]:
    """Let a method raise when it is called for the n-th time; how often it was called."""
    real, calls, lock = getattr(owner, name), [0], threading.Lock()

    def method(*arguments: Any, **options: Any) -> Any:
        with lock:
            calls[0] += 1
            now = calls[0] == MIDDLE
        if now:
            raise fault
        return real(*arguments, **options)

    monkeypatch.setattr(owner, name, method)
    return lambda: calls[0]


STAGES: dict[str, tuple[type, str]] = {
    "prepare": (RgbConverter, "__call__"),
    "infer": (GreyBackend, "_run"),
    "overlay": (Overlay, "__call__"),
    "encode": (VideoWriter, "write"),
}


@pytest.mark.parametrize("fault", [RuntimeError("broken"), MemoryError("broken")], ids=repr)
@pytest.mark.parametrize("stage", STAGES)
def test_a_fault_in_any_stage_ends_the_run_and_leaves_nothing(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, fault: Exception
) -> None:
    calls = failing(monkeypatch, *STAGES[stage], fault)
    with pytest.raises(type(fault), match="broken"):
        segment_video(drive, tmp_path / "out.mp4", Streaming(), threads=1)
    assert calls() >= MIDDLE
    assert list(tmp_path.iterdir()) == []


def test_a_decoder_that_fails_in_the_middle_is_an_error_with_the_file_s_name(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = VideoReader._decode

    def broken(self: VideoReader) -> Iterator[av.VideoFrame]:
        for number, frame in enumerate(decode(self)):
            if number == MIDDLE:
                raise InputError(f"{self.name}: reading it failed (Input/output error).")
            yield frame

    monkeypatch.setattr(VideoReader, "_decode", broken)
    with pytest.raises(InputError, match=r"drive\.mp4: reading it failed"):
        segment_video(drive, tmp_path / "out.mp4", Streaming(), threads=1)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_refuses_in_the_middle_is_named(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = av.error.ExternalError(-542398533, "Generic error in an external library")
    failing(monkeypatch, Mp4File, "mux", fault)
    with pytest.raises(InputError, match=r"out\.mp4: encoding failed"):
        segment_video(drive, tmp_path / "out.mp4", Streaming(), threads=1)
    assert list(tmp_path.iterdir()) == []


class SlowSink(Sink):
    """Takes its time, and counts how far the model is ahead of it."""

    name, output = "slow", None

    def __init__(self, backend: GreyBackend, seconds: float) -> None:
        self._backend, self._seconds = backend, seconds
        self.written = self.ahead = 0

    def open(self, context: Context) -> None:
        pass

    def write(self, result: Segmented) -> None:
        time.sleep(self._seconds)
        self.written += 1
        self.ahead = max(self.ahead, sum(self._backend.batches) - self.written)

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass


@pytest.mark.parametrize("batch", [1, 4])
def test_a_slow_consumer_holds_the_others_back(drive: Path, tmp_path: Path, batch: int) -> None:
    """What waits is bounded, whatever the length: the queues, and one frame in each hand."""
    backend = Streaming()
    slow = SlowSink(backend, 0.02)
    report = segment_video(
        drive, tmp_path / "out.mp4", backend, batch=batch, sinks=[slow], threads=1
    )
    assert report.frames == slow.written == FRAMES
    assert times_of(tmp_path / "out.mp4") == times_of(drive)
    assert slow.ahead <= (2 + 2 + backend.streams + 3) * batch


class Camera(Source):
    """Gives a frame every 5 ms, whether or not somebody takes it."""

    name, live = "camera", True
    format = VideoFormat(64, 48, Fraction(25), Fraction(1, 25), BT709)

    def __iter__(self) -> Iterator[Frame]:
        for number in range(40):
            time.sleep(0.005)
            image = av.VideoFrame(64, 48, "yuv420p")
            image.pts, image.time_base, image.duration = number, Fraction(1, 25), 1
            yield Frame(number, image)

    def close(self) -> None:
        pass


class Slow(GreyBackend):
    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        time.sleep(0.03)
        return super()._run(frames)


def test_a_model_that_is_slower_than_a_camera_finds_the_newest_frame_waiting() -> None:
    backend = Slow()
    report = segment(Camera(), [SlowSink(backend, 0.0)], backend)
    assert report.dropped > 0
    assert report.dropped + report.frames == 40
    assert 0.5 < report.stages["infer"].queue < 1.0  # it had to wait for the first


def test_a_full_disk_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real file system of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        rng = np.random.default_rng(0)

        def noise(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
            return rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)

        drive = make_clip(tmp_path / "noise.mp4", size=(256, 192), picture=noise)
        monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: GreyBackend())
        output = disk / "out.mp4"
        job = [str(drive), "--model", "m.onnx", "--output", str(output), "--opacity", "0.1"]
        assert cli.segment([*job, "--threads", "1"]) == 2
        error = capsys.readouterr().err
        assert f"error: {output}: no space left on the device." in error
        assert "Traceback" not in error
        assert not output.exists()
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class Interrupting(GreyBackend):
    """Raises `KeyboardInterrupt` in the thread that calls it, several frames being under way."""

    streams = 3

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if len(self.batches) == MIDDLE:
            raise KeyboardInterrupt
        return super()._run(frames)


def test_an_interrupt_among_several_streams_leaves_a_playable_file(
    drive: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        segment_video(drive, tmp_path / "out.mp4", Interrupting(), threads=1)
    found = times_of(tmp_path / "out.mp4")
    assert MIDDLE - 3 <= len(found) <= MIDDLE
    assert found == times_of(drive)[: len(found)]
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


class LastMoment(SlowSink):
    """Gets Ctrl-C at its last frame, when the model is through and only writers work."""

    def write(self, result: Segmented) -> None:
        if result.frame.index == FRAMES - 1:
            time.sleep(0.3)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            time.sleep(0.3)


def test_an_interrupt_while_the_last_results_are_written_leaves_them_whole(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = GreyBackend()
    last = LastMoment(backend, 0.0)
    with pytest.raises(KeyboardInterrupt):
        segment_video(drive, tmp_path / "out.mp4", backend, sinks=[last], threads=1)
    assert times_of(tmp_path / "out.mp4") == times_of(drive)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert "holds the first" not in caplog.text
