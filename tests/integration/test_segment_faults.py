"""Everything that can go wrong with `cfcontra-segment`: no hang, no half-written file."""

from __future__ import annotations

import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import make_clip

import cfcontra.runtime
from cfcontra.errors import CheckFailedError, InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video import segment_video, write_video, writer
from cfcontra.serve.video.codec import Encoder
from cfcontra.serve.video.reader import VideoReader

pytestmark = pytest.mark.timeout(60)
FRAMES = 40


class FaultyBackend(Backend):
    """Works until its n-th batch, then raises."""

    def __init__(self, fault: BaseException | None = None, after: int = 0) -> None:
        space = LABEL_SPACES["camvid11"]
        self.metadata = ModelMetadata(space, Preprocessing((32, 32)), {"name": "faulty"})
        self.device, self.runtime = "cpu", "test"
        self._fault, self._left = fault, after

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        if self._fault is not None and self._left == 0:
            raise self._fault
        self._left -= 1
        mask = np.zeros(frames.shape[:3], np.uint8)
        return Prediction(mask, mask)


def noise(count: int, size: tuple[int, int] = (96, 64)) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drive") / "drive.mp4"
    write_video(noise(FRAMES), path, Fraction(25))
    return path


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> FaultyBackend:
    """Let the command run with a backend that has no fault."""
    backend = FaultyBackend()
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)
    return backend


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"decode", "prepare", "results", "write overlay"}


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("fault", [CheckFailedError("model"), RuntimeError("out of memory")])
@pytest.mark.parametrize("after", [0, 17])
def test_a_failing_model_leaves_nothing(
    drive: Path, tmp_path: Path, fault: Exception, after: int
) -> None:
    with pytest.raises(type(fault), match=str(fault)):
        segment_video(drive, tmp_path / "out.mp4", FaultyBackend(fault, after), threads=1)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_survives_a_failure(drive: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"earlier")
    backend = FaultyBackend(InputError("model"), 5)
    with pytest.raises(InputError):
        segment_video(drive, output, backend, overwrite=True, threads=1)
    assert output.read_bytes() == b"earlier"


def test_an_interrupt_leaves_a_playable_file(drive: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(KeyboardInterrupt):
        segment_video(drive, output, FaultyBackend(KeyboardInterrupt(), 17), threads=1)
    assert frames_in(output) == 17
    assert list(tmp_path.iterdir()) == [output]


def test_an_interrupt_before_the_first_frame_leaves_nothing(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        segment_video(drive, tmp_path / "out.mp4", FaultyBackend(KeyboardInterrupt()), threads=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_real_signal_ends_the_command_with_130(
    drive: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    class Interrupting(FaultyBackend):
        def _run(self, frames: NDArray[np.uint8]) -> Prediction:
            batches.append(len(frames))
            if len(batches) == 9:
                signal.raise_signal(number)
                time.sleep(1)
            return super()._run(frames)

    batches: list[int] = []

    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: Interrupting())
    output = tmp_path / "out.mp4"
    assert segment([str(drive), "--model", "m.onnx", "--output", str(output)]) == 130
    assert frames_in(output) == 8
    assert "holds the first 8 frames" in capsys.readouterr().err


def test_a_failing_progress_display_does_not_hang(drive: Path, tmp_path: Path) -> None:
    def broken(done: int, expected: int | None) -> None:
        raise ValueError("display")

    with pytest.raises(ValueError, match="display"):
        segment_video(drive, tmp_path / "o.mp4", FaultyBackend(), progress=broken, threads=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [2_000, 20_000, 60_000])
def test_a_file_system_that_takes_no_more_leaves_nothing(
    drive: Path, tmp_path: Path, limit: int
) -> None:
    """A limit on the size of files fails real writes, at the start and in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match=r"out\.mp4: cannot be written \(File too large\)"):
            segment_video(drive, tmp_path / "out.mp4", FaultyBackend(), threads=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_gives_what_is_there(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cut = tmp_path / "cut.mp4"
    data = drive.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    report = segment_video(cut, tmp_path / "out.mp4", FaultyBackend(), threads=1)
    assert 10 < report.frames < FRAMES
    assert frames_in(tmp_path / "out.mp4") == report.frames
    assert f"ends early, with {report.frames} of {FRAMES} frames" in caplog.text


def in_order(stream: Any) -> None:
    stream.codec_context.max_b_frames = 0


def remux(source: Path, target: Path, pictures: float) -> Path:
    """The same packets in another container, of the pictures those of the first seconds."""
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        streams = {one.index: copy.add_stream_from_template(one) for one in original.streams}
        for packet in original.demux():
            if packet.pts is not None and (
                packet.stream.type == "audio" or packet.pts * packet.time_base < pictures
            ):
                packet.stream = streams[packet.stream_index]
                copy.mux(packet)
    return target


@pytest.mark.parametrize("ending", ["mkv", "flv"])
def test_a_truncated_file_that_tells_no_number_of_frames_is_said_to_end_early(
    drive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, ending: str
) -> None:
    data = remux(drive, tmp_path / f"whole.{ending}", FRAMES).read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(data[: len(data) * 6 // 10])
    last = list(VideoReader(cut, 1))[-1].seconds
    assert 0.4 < last < 1.2
    found = re.search(r"ends early, after (\S+) of about (\S+) seconds", caplog.text)
    assert found is not None
    assert float(found[1]) == pytest.approx(last, abs=0.25)
    assert float(found[2]) == pytest.approx(FRAMES / 25, abs=0.15)


def test_a_whole_file_is_not_said_to_end_early_whatever_its_rate_and_its_sound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = [0, 1000, 90000, 91000, 400000]  # of 30000 a second
    clip = make_clip(tmp_path / "seldom.mkv", times=seldom, audio="aac", setup=in_order)
    assert len(list(VideoReader(clip, 1))) == len(seldom)
    loud = remux(clip, tmp_path / "loud.mkv", pictures=1)
    assert len(list(VideoReader(loud, 1))) == 2
    assert caplog.text == ""


def test_damage_in_the_middle_is_survived(drive: Path, tmp_path: Path) -> None:
    data = bytearray(drive.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    (tmp_path / "hurt.mp4").write_bytes(data)
    report = segment_video(tmp_path / "hurt.mp4", tmp_path / "out.mp4", FaultyBackend(), threads=1)
    assert FRAMES - 10 < report.frames <= FRAMES
    assert frames_in(tmp_path / "out.mp4") == report.frames


def test_an_encoder_that_does_not_start_is_named(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Encoder("libx264", "yuv420p", {"preset": "none such"})
    monkeypatch.setattr(writer, "find_encoder", lambda _: broken)
    with pytest.raises(InputError, match="--codec libx264: the encoder does not start for 96×64"):
        segment_video(drive, tmp_path / "out.mp4", FaultyBackend(), threads=1)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_whose_video_mp4_cannot_hold_is_named(drive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--codec h263: MP4 cannot hold"):
        segment_video(drive, tmp_path / "out.mp4", FaultyBackend(), codec="h263", threads=1)
    assert list(tmp_path.iterdir()) == []


def test_several_files_with_a_bad_one(
    drive: Path, tmp_path: Path, command: FaultyBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "c.mp4"):
        (tmp_path / name).write_bytes(drive.read_bytes())
    (tmp_path / "b.mp4").write_bytes(b"no video")
    out = tmp_path / "out"
    assert segment([str(tmp_path / "*.mp4"), "--model", "m.onnx", "--output", str(out)]) == 2
    assert sorted(path.name for path in out.iterdir()) == ["a-segmented.mp4", "c-segmented.mp4"]
    captured = capsys.readouterr()
    assert "1 of 3 videos failed" in captured.err
    assert "b.mp4: not a readable video" in captured.err
    assert captured.out.count(f": {FRAMES} frames in ") == 2


def test_the_result_line_and_overwriting(
    drive: Path, tmp_path: Path, command: FaultyBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mp4"
    arguments = [str(drive), "--model", "m.onnx", "--output", str(output), "--threads", "1"]
    assert segment(arguments) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{output}: {FRAMES} frames in ")
    assert line.endswith("fps\n")
    assert segment(arguments) == 2
    assert "exists already. Use --overwrite" in capsys.readouterr().err
    assert segment([*arguments, "--overwrite"]) == 0


BAD: list[tuple[list[str], str]] = [
    (["missing.mp4"], "missing.mp4: no such file"),
    (["text.mp4"], "text.mp4: not a readable video"),
    (["notes.txt"], "notes.txt: not a"),
    (["empty.mp4"], "empty.mp4: not a readable video"),
    (["picture.png"], "picture.png: not a video"),
    (["sound.m4a"], "sound.m4a: has no video stream"),
    (["folder"], "folder: holds neither videos nor pictures"),
    (["drive.mp4", "--output", "drive.mp4", "--overwrite"], "is the source itself"),
    (["drive.mp4", "--output", "out.mkv"], "let its name end in .mp4"),
    (["drive.mp4", "--output", "text.mp4/out.mp4"], "cannot be written"),
    (["drive.mp4", "--codec", "libx2640"], "no such video encoder. There are "),
    (["drive.mp4", "--codec", "aac"], "encodes audio, not video"),
    (["drive.mp4", "--codec", "gif"], "MP4 cannot hold what it makes"),
    (["drive.mp4", "--opacity", "2"], "--opacity 2.0: give a number from 0 to 1"),
    (["drive.mp4", "--batch", "0"], "--batch 0: give 1 or more"),
    (["drive.mp4", "--write", "png", "--codec", "libx265"], "--codec: no video is encoded here"),
    (["drive.mp4", "--output", "-", "--codec", "libx265"], "--codec: no video is encoded here"),
    (["drive.mp4", "--write", "mask", "--opacity", "1"], "--opacity: no overlay is drawn here"),
    (["drive.mp4", "--output", "-", "--resume"], "--resume: what went to standard output cannot"),
    (["rtsp://localhost/a", "--resume"], "--resume: cameras and streams cannot be gone on with"),
]


@pytest.fixture
def folder(drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "drive.mp4").write_bytes(drive.read_bytes())
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "notes.txt").write_text("no video\n" * 50)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    from cfcontra.visualize import encode_png

    (tmp_path / "picture.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    with av.open(str(tmp_path / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        silence = np.zeros((2, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path,
    command: FaultyBackend,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    before = sorted(folder.iterdir())
    assert segment([*arguments, "--model", "m.onnx"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "model.bin"])
def test_a_file_that_is_no_model_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder / name).write_bytes(b"no model")
    assert segment(["drive.mp4", "--model", name]) == 2
    assert capsys.readouterr().err.startswith(f"error: {name}: ")
    assert not (folder / "drive-segmented.mp4").exists()
