"""Options of `cfcontra-segment` that reach what they are about, from the command on."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from stream_servers import free_port
from video_clips import FRAMES, SPACE, GreyBackend, image, level, make_clip, times_of

import cfcontra.runtime
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video import sources, window
from cfcontra.serve.video.open_file import hwdevices_available
from cfcontra.serve.video.reader import VideoReader

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_clip(tmp_path / "drive.mp4")


def use(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)


def run(*arguments: str | Path, status: int = 0, model: str | Path = "m.onnx") -> None:
    command = [*map(str, arguments), "--model", str(model), "--threads", "1"]
    assert segment(command) == status


# Watching


class Watched(GreyBackend):
    """Begins when somebody watches, and goes on behind the fifth frame when they have seen it."""

    def __init__(self) -> None:
        super().__init__()
        self.watched, self.seen = threading.Event(), threading.Event()

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if len(self.batches) in (0, 5):
            assert (self.watched if not self.batches else self.seen).wait(60)
        return super()._run(frames)


def watch(port: int, backend: Watched, pictures: list[NDArray[np.uint8]]) -> None:
    deadline = time.monotonic() + 60
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, 60)
        try:
            connection.request("GET", "/stream.mjpg")
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    stream = connection.getresponse()
    backend.watched.set()
    while not (line := stream.readline()).startswith(b"Content-Length"):
        assert line
    stream.readline()
    data = np.frombuffer(stream.read(int(line.split(b":")[1])), np.uint8)
    pictures.append(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)))
    backend.seen.set()
    connection.close()


def test_a_preview_shows_the_overlay_in_a_browser(
    drive: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    backend, port = Watched(), free_port()
    use(monkeypatch, backend)
    pictures: list[NDArray[np.uint8]] = []
    watcher = threading.Thread(target=watch, args=(port, backend, pictures), daemon=True)
    watcher.start()
    run(drive, "--write", "none", "--preview", str(port), "--opacity", "1")
    watcher.join(60)
    assert f"preview: http://127.0.0.1:{port}" in capfd.readouterr().err
    (picture,) = pictures
    color = np.median(picture.reshape(-1, 3), axis=0)
    classes = {min(level(number) // 24, SPACE.num_classes - 1) for number in range(6)}
    assert min(np.abs(color - SPACE.colors[one]).max() for one in classes) < 16
    assert picture.shape == (48, 64, 3)
    assert [path.name for path in Path().iterdir()] == ["drive.mp4"]
    assert len(backend.batches) == FRAMES


class ShownIn:
    """In place of a window: keeps what it is shown, and is closed by the user at some time."""

    def __init__(self, patience: int) -> None:
        self.patience, self.closed = patience, False
        self.shown: list[tuple[int, int, bytes]] = []

    def __call__(self, title: str) -> ShownIn:
        assert title == "cfcontra"
        return self

    def show(self, width: int, height: int, pixels: bytes) -> None:
        if len(self.shown) == self.patience:
            raise BrokenPipeError
        self.shown.append((width, height, pixels))

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_a_window_is_shown_every_frame(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, GreyBackend())
    shown = ShownIn(FRAMES)
    monkeypatch.setattr(window, "Window", shown)
    run(drive, "--write", "none", "--show", "--opacity", "0")
    assert shown.closed
    assert len(shown.shown) == FRAMES
    for number, (width, height, pixels) in enumerate(shown.shown):
        picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        assert (width, height) == (64, 48)
        assert abs(float(picture[..., 1].mean()) - level(number)) <= 4


class InNoHurry(GreyBackend):
    """Slow enough for a closed window to be noticed before the end."""

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        time.sleep(0.02)
        return super()._run(frames)


@pytest.mark.parametrize("write", ["overlay", "none"])
def test_a_window_that_is_closed_ends_the_run_if_it_was_all_there_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    write: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    drive = make_clip(tmp_path / "drive.mp4", times=[1001 * number for number in range(60)])
    backend, shown = InNoHurry(), ShownIn(3)
    use(monkeypatch, backend)
    monkeypatch.setattr(window, "Window", shown)
    run(drive, "--write", write, "--show")
    assert shown.closed
    assert len(shown.shown) == 3
    said = capsys.readouterr().out
    if write == "none":
        assert len(backend.batches) < 60
        assert said == ""
    else:
        assert len(times_of(tmp_path / "drive-segmented.mp4")) == 60
        assert "60 frames" in said


# Decoding


def test_the_reader_gets_hwaccel_and_threads(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int | None, str | None]] = []

    def reader(path: Path, threads: int | None, hwaccel: str | None) -> VideoReader:
        asked.append((threads, hwaccel))
        return VideoReader(path, threads)

    use(monkeypatch, GreyBackend())
    monkeypatch.setattr(sources, "VideoReader", reader)
    name = hwdevices_available()[0]
    run(drive, "--hwaccel", name, "--write", "jsonl")
    assert asked == [(1, name)]


def test_hardware_that_does_not_decode_this_is_named(
    drive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "drm" not in hwdevices_available():
        pytest.skip("this FFmpeg was built without DRM, which decodes no H.264 of a file")
    use(monkeypatch, GreyBackend())
    run(drive, "--hwaccel", "drm", status=2)
    assert "--hwaccel drm: cannot decode " in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["drive.mp4"]


# Hard frames


def noise(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    blocks = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(blocks, size, interpolation=cv2.INTER_NEAREST)


class LessAndLessSure(GreyBackend):
    """Its confidence sinks by five with every frame."""

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        found = super()._run(frames)
        found.confidence[...] = 250 - 5 * len(self.batches)
        return found


@pytest.mark.parametrize(("budget", "kept"), [("3", 3), (None, 24)])
def test_hard_frames_of_all_sources_are_as_many_as_the_budget(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    budget: str | None,
    kept: int,
) -> None:
    """Every picture differs from all others, so that only the budget says how many are kept."""
    monkeypatch.chdir(tmp_path)
    times = [1001 * number for number in range(12)]
    make_clip(tmp_path / "a.mp4", times=times, picture=noise)
    make_clip(tmp_path / "b.mp4", times=times, picture=lambda n, size: noise(n + 12, size))
    use(monkeypatch, LessAndLessSure())
    more = () if budget is None else ("--budget", budget)
    run("a.mp4", "b.mp4", "--write", "none", "--hard-frames", "hard", *more)
    said = capsys.readouterr().out
    manifest = json.loads(Path("hard/manifest.json").read_text())
    files = sorted(f"images/{path.name}" for path in Path("hard/images").iterdir())
    assert len(files) == kept
    assert sorted(entry["file"] for entry in manifest["frames"]) == files
    assert (manifest["budget"], manifest["seen"]) == (200 if budget is None else 3, 24)
    assert f"hard: {kept} hard frames" in said
    assert ("200 were asked for; no more differ" in said) == (budget is None)
    first = manifest["frames"][0]
    assert (Path(first["source"]).name, first["frame"]) == ("b.mp4", 11)  # the least sure
    stored = cv2.imread(f"hard/{first['file']}")
    assert stored is not None
    assert np.abs(stored[..., ::-1].astype(int) - noise(23, (64, 48))).mean() < 25


# The model


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The real models that the command opens."""
    opened: list[Any] = []
    real = cfcontra.runtime.open_backend

    def keep(*arguments: Any, **more: Any) -> Backend:
        opened.append(real(*arguments, **more))
        return opened[-1]

    monkeypatch.setattr(cfcontra.runtime, "open_backend", keep)
    return opened


def test_half_and_another_work_size_are_those_of_the_model_that_runs(
    tmp_path: Path, opened: list[Any], model_file: Path
) -> None:
    drive = make_clip(tmp_path / "drive.mp4", times=[0, 1001], picture=image)
    run(drive, "--device", "cpu", "--half", "--work-size", "32x64", model=model_file)
    (backend,) = opened
    assert "bf16" in backend.runtime
    assert backend.metadata.preprocessing.work_size == (32, 64)
    assert len(times_of(tmp_path / "drive-segmented.mp4")) == 2


def test_what_the_model_cannot_do_is_refused(
    drive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(drive, "--half", status=2)
    assert "--half: onnxruntime computes in the precision of m.onnx" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(drive, "--work-size", "8x8")
    assert "'8x8' is not HEIGHTxWIDTH" in capsys.readouterr().err
