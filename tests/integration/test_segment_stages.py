"""A fault in each stage of the pipeline, and a stop from outside: no thread, no file is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import FRAMES, GreyBackend, image, make_clip, times_of

from cfcontra.errors import InputError
from cfcontra.interface import Interface
from cfcontra.runtime import Prediction
from cfcontra.serve.video import Context, Frame, Segmented, Sink, StoppedError, segment_video
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.writer import VideoWriter

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4")


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


class Breaking(VideoReader):
    """A reader that fails in the middle."""

    def __iter__(self) -> Iterator[Frame]:
        for frame in super().__iter__():
            if frame.index == 10:
                raise InputError("the disk is gone")
            yield frame


class Recorder(Sink):
    """Keeps what it was asked to do; may be slow or fail."""

    name = "recorder"

    def __init__(self, seconds: float = 0, fails_at: int | None = None) -> None:
        self.calls: list[str] = []
        self.frames: list[int] = []
        self.results: list[Segmented] = []
        self._seconds, self._fails_at = seconds, fails_at

    def open(self, context: Context) -> None:
        self.calls.append("open")

    def write(self, result: Segmented) -> None:
        time.sleep(self._seconds)
        if result.frame.index == self._fails_at:
            raise InputError("recorder: full")
        self.frames.append(result.frame.index)
        self.results.append(result)

    def finish(self) -> None:
        self.calls.append("finish")

    def discard(self) -> None:
        self.calls.append("discard")


def only_the_source(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["in.mp4"]


def test_a_reader_that_fails_in_the_middle(drive: Path, tmp_path: Path) -> None:
    sink = Recorder()
    with pytest.raises(InputError, match="the disk is gone"):
        segment_video(Breaking(drive), tmp_path / "out.mp4", GreyBackend(), sinks=[sink])
    assert only_the_source(tmp_path)
    assert sink.calls == ["open", "discard"]


@pytest.mark.parametrize("at", [0, 9, FRAMES - 1])
def test_a_sink_that_fails_ends_the_others(drive: Path, tmp_path: Path, at: int) -> None:
    with pytest.raises(InputError, match="recorder: full"):
        segment_video(drive, tmp_path / "out.mp4", GreyBackend(), sinks=[Recorder(fails_at=at)])
    assert only_the_source(tmp_path)


def test_an_encoder_that_fails_in_the_middle(
    drive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = VideoWriter.write

    def failing(self: VideoWriter, picture: object) -> None:
        if self.frames == 7:
            raise InputError("out.mp4: encoding failed")
        write(self, picture)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoWriter, "write", failing)
    sink = Recorder()
    with pytest.raises(InputError, match="encoding failed"):
        segment_video(drive, tmp_path / "out.mp4", GreyBackend(), sinks=[sink])
    assert only_the_source(tmp_path)
    assert "finish" not in sink.calls


def test_a_filter_or_observer_that_fails(drive: Path, tmp_path: Path) -> None:
    def broken(result: Segmented) -> Segmented:
        raise ValueError("filter")

    for options in ({"filters": [broken]}, {"observers": [broken]}):
        with pytest.raises(ValueError, match="filter"):
            segment_video(drive, tmp_path / "out.mp4", GreyBackend(), **options)  # type: ignore[arg-type]
        assert only_the_source(tmp_path)


def test_a_slow_sink_loses_nothing(drive: Path, tmp_path: Path) -> None:
    sink = Recorder(seconds=0.02)
    report = segment_video(drive, tmp_path / "out.mp4", GreyBackend(), batch=3, sinks=[sink])
    assert sink.frames == list(range(FRAMES))
    assert sink.calls == ["open", "finish", "discard"]
    assert times_of(tmp_path / "out.mp4") == times_of(drive)
    assert report.frames == FRAMES
    assert report.stages["write recorder"].busy > FRAMES * 0.02 * 0.9
    assert report.stages["infer"].waiting > 0


def test_filters_change_what_sinks_and_observers_see(drive: Path, tmp_path: Path) -> None:
    def sky(result: Segmented) -> Segmented:
        return replace(result, mask=np.zeros_like(result.mask))

    sink, seen = Recorder(), list[int]()
    segment_video(
        drive,
        tmp_path / "out.mp4",
        GreyBackend(),
        sinks=[sink],
        filters=[sky],
        observers=[lambda result: seen.append(int(result.mask.max()))],
    )
    assert seen == [0] * FRAMES
    assert all(result.mask.max() == 0 for result in sink.results)


@pytest.mark.parametrize("when", [0, 5])
def test_stopping_leaves_nothing(drive: Path, tmp_path: Path, when: int) -> None:
    stop = threading.Event()
    if when == 0:
        stop.set()

    def progress(done: int, expected: int | None) -> None:
        if done == when:
            stop.set()

    with pytest.raises(StoppedError):
        segment_video(drive, tmp_path / "out.mp4", GreyBackend(), stop=stop, progress=progress)
    assert only_the_source(tmp_path)


class Coarse(GreyBackend):
    """Gives one value for 4×4 pixels, as a file exported with a mask stride does."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata = replace(self.metadata, interface=Interface(mask_stride=4))

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        fine = super()._run(frames)
        return Prediction(fine.mask[:, ::4, ::4], fine.confidence[:, ::4, ::4])


def test_a_coarse_mask_is_brought_to_the_frames_size(tmp_path: Path) -> None:
    def columns(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        picture = image(number, size)
        picture[:] = (np.arange(size[0]) // 4 * 24 + 12)[None, :, None]
        return picture

    source = make_clip(tmp_path / "in.mkv", size=(37, 25), codec="ffv1", picture=columns)
    sink = Recorder()
    segment_video(source, tmp_path / "out.mp4", Coarse(), sinks=[sink])
    expected = np.minimum(np.arange(37) // 4, 10)
    for result in sink.results:
        assert result.mask.shape == result.confidence.shape == (25, 37)
        assert np.array_equal(result.mask[12], expected)
