"""The parts of the video pipeline, one by one."""

from __future__ import annotations

import re
import signal
import threading
import time
from datetime import datetime, tzinfo
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.orientation import Orientation
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.video.batches import Batch
from cfcontra.serve.video.channel import Cancelled, Channel, Worker
from cfcontra.serve.video.codec import find_encoder
from cfcontra.serve.video.color import BT709, Color
from cfcontra.serve.video.find import find
from cfcontra.serve.video.job import Task, plan
from cfcontra.serve.video.overlay import YuvOverlay
from cfcontra.serve.video.picture import planes, turned
from cfcontra.serve.video.shape import RgbConverter
from cfcontra.serve.video.streams import Streams
from cfcontra.visualize import overlay

SPACE = LABEL_SPACES["camvid11"]


# Channel


def test_items_arrive_in_order_and_never_more_than_fit_wait() -> None:
    channel: Channel[int] = Channel(2)
    waiting = []

    def produce() -> None:
        for number in range(50):
            channel.put(number)
            waiting.append(len(channel._items))
        channel.close()

    producer = Worker("producer", produce)
    producer.start()
    assert list(channel) == list(range(50))
    producer.join()
    assert max(waiting) <= 2
    assert producer.error is None


def test_an_error_comes_after_what_was_queued() -> None:
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.close(ValueError("decoder"))
    items = iter(channel)
    assert next(items) == 1
    with pytest.raises(ValueError, match="decoder"):
        next(items)


def test_cancelling_wakes_a_blocked_producer_and_a_blocked_consumer() -> None:
    full: Channel[int] = Channel(1)
    full.put(0)
    empty: Channel[int] = Channel(1)
    workers = [Worker("put", lambda: full.put(1)), Worker("get", lambda: next(iter(empty), None))]  # type: ignore[arg-type, return-value, list-item]
    for worker in workers:
        worker.start()
    full.cancel()
    empty.cancel()
    for worker in workers:
        worker.join(5)
        assert not worker.is_alive()
        assert isinstance(worker.error, Cancelled)


def test_a_worker_is_waited_for_though_an_interrupt_came_while_it_was() -> None:
    go_on = threading.Event()

    def work() -> None:
        go_on.wait(30)

    worker = Worker("work", work)
    worker.start()
    here = threading.main_thread().ident
    assert here is not None
    threading.Timer(0.2, lambda: signal.pthread_kill(here, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        worker.join()
    threading.Timer(0.2, go_on.set).start()
    worker.join()
    assert go_on.is_set()
    assert not worker.is_alive()


def test_how_full_a_queue_is_counts_what_waited_when_the_consumer_came() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(0)
    channel.put(1)
    items = iter(channel)
    assert (next(items), next(items)) == (0, 1)  # found 2 and 1 of 2
    assert channel.occupancy == 0.75
    threading.Timer(0.1, channel.put, [2]).start()
    assert next(items) == 2  # found nothing, and waited
    assert channel.occupancy == 0.5


# Which file becomes which


def outputs(tasks: list[Task]) -> list[Path]:
    return [output for task in tasks for output in task.outputs.values()]


def test_results_stand_beside_their_sources(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        (tmp_path / name).touch()
    assert outputs(plan([str(tmp_path / "*.mp4")], None)) == [
        tmp_path / "a-segmented.mp4",
        tmp_path / "b-segmented.mp4",
    ]


def test_output_is_a_file_for_one_source_and_a_folder_for_several(tmp_path: Path) -> None:
    assert outputs(plan(["a.avi"], Path("x.mp4"))) == [Path("x.mp4")]
    assert outputs(plan(["a.avi"], tmp_path)) == [tmp_path / "a-segmented.mp4"]
    assert outputs(plan(["a.avi", "b.mkv"], Path("out"))) == [
        Path("out/a-segmented.mp4"),
        Path("out/b-segmented.mp4"),
    ]
    with pytest.raises(InputError, match="2 sources; name a folder"):
        plan(["a.avi", "b.mkv"], Path("x.mp4"))


def test_earlier_results_are_not_segmented_again() -> None:
    sources = [task.source.name for task in plan(["a.mp4", "a-segmented.mp4", "b.mp4"], None)]
    assert sources == ["a.mp4", "b.mp4"]
    assert len(plan(["a-segmented.mp4"], None)) == 1


def test_results_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"both be written to out/x/a-segmented\.mp4"):
        plan(["x/a.mp4", "x/a.mkv", "y/b.mp4"], Path("out"))


@pytest.mark.parametrize(
    ("sources", "below"),
    [
        (["in/x/a.mp4", "in/y/a.mp4", "in/b.mp4"], ["x/a", "y/a", "b"]),
        (["in/x/a.mp4", "in/x/b.mp4", "in/y/c.mp4"], ["a", "b", "c"]),
        (["../a.mp4", "in/../x/a.mp4", "rtsp://cam/1"], ["a", "here/x/a", "cam-1"]),
        (["in/x/a.mp4", "in/x/deep", "in/y/deep"], ["x/a", "x/deep/f", "y/deep/f", "y/deep/g"]),
        (["in/x/*/*.mp4", "in/y/*/*.mp4"], ["x/deep/f", "y/deep/f", "y/deep/g"]),
        (["in/x/deep", "in/y"], ["deep/f", "y/deep/f", "y/deep/g"]),
    ],
)
def test_names_that_meet_are_mirrored_from_the_folder_that_holds_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], below: list[str]
) -> None:
    for name in ("x/deep/f.mp4", "y/deep/f.mp4", "y/deep/g.mp4"):
        (tmp_path / "here/in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here/in" / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    found = [str(entry.relative) for entry in find(sources, Path("out"))]
    assert [re.sub(r"-\d{8}-\d{6}$", "", name) for name in found] == below


def test_channels_of_one_recorder_are_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Noon:
            return cls(2024, 1, 2, 12)

    monkeypatch.setattr("cfcontra.serve.video.find.datetime", Noon)
    channels = [f"rtsp://me:secret@10.0.0.5/play?channel={number}" for number in (1, 2)]
    assert [entry.live for entry in find([*channels, channels[0]])] == channels
    assert len(plan(channels, None, ())) == 2
    with pytest.raises(InputError, match=r"10\.0\.0\.5/play.* would both .*by itself") as caught:
        plan(channels, Path("out"))
    assert "secret" not in str(caught.value)
    assert "channel" not in str(caught.value)


def test_names_with_dots_are_kept_whole(tmp_path: Path) -> None:
    for name in ("drive.2024.mp4", "a.b.mp4", "a.c.mp4", "tour.v2", "v1.0/front.cam.MKV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    named = [str(tmp_path / name) for name in ("drive.2024.mp4", "a.b.mp4", "tour.v2")]
    assert [path.name for path in outputs(plan(named, None, ("overlay", "png")))] == [
        *("drive.2024-segmented.mp4", "drive.2024-masks"),
        *("a.b-segmented.mp4", "a.b-masks"),
        *("tour.v2-segmented.mp4", "tour.v2-masks"),
    ]
    for tasks in (plan([str(tmp_path)], Path("out")), plan([f"{tmp_path}/**/*.*"], Path("out"))):
        mirrored = {path.relative_to("out") for path in outputs(tasks)}
        assert {Path("a.b-segmented.mp4"), Path("a.c-segmented.mp4")} < mirrored
        assert Path("v1.0/front.cam-segmented.mp4") in mirrored


def test_results_with_dots_in_their_names_are_not_segmented_again(tmp_path: Path) -> None:
    for name in ("shots.1", "shots.2", "shots.2-masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    sources = [task.source.name for task in plan([str(tmp_path)], None, ("png",))]
    assert sources == ["shots.1", "shots.2"]


def test_a_folder_of_results_may_have_a_dot_in_its_name() -> None:
    several = plan(["a.mp4", "b.mp4"], Path("results.2024"))
    assert outputs(several)[0] == Path("results.2024/a-segmented.mp4")
    masks = plan(["a.mp4"], Path("results.2024"), ("png",))
    assert outputs(masks) == [Path("results.2024/a-masks")]
    with pytest.raises(InputError, match=r"end in \.mp4\. If it is a folder's, make the folder"):
        plan(["a.mp4"], Path("results.2024"))


def test_a_pattern_without_files_is_refused_and_brackets_in_names_are_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        plan([str(tmp_path / "*.mp4")], None)
    odd = tmp_path / "a[1].mp4"
    odd.touch()
    assert plan([str(odd)], None)[0].source == odd


# Encoders


def test_a_known_encoder_takes_planar_frames() -> None:
    encoder = find_encoder("libx264")
    assert encoder.pix_fmt == "yuv420p"
    assert encoder.options["crf"]
    assert find_encoder("mpeg4").bit_rate(960, 540, Fraction(25)) > 500_000


@pytest.mark.parametrize(
    ("name", "message"),
    [("libx265x", r"There are .*\blibx264\b"), ("aac", "encodes audio"), ("", "no such")],
)
def test_other_encoders_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_encoder(name)


# Colours


def picture(height: int, width: int, color: Color, seed: int = 0) -> av.VideoFrame:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    image = blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=color.matrix, dst_color_range=color.range
    )
    color.tag(frame)
    frame.pts, frame.time_base, frame.duration = 7, Fraction(1, 25), 1
    return frame


FULL_601 = Color(
    matrix=av.video.reformatter.Colorspace.ITU601,
    range=av.video.reformatter.ColorRange.JPEG,
    tags=(("color_range", 2), ("colorspace", 6)),
)


@pytest.mark.parametrize("color", [BT709, FULL_601], ids=["bt709 limited", "bt601 full"])
@pytest.mark.parametrize("opacity", [0.0, 0.5, 1.0])
def test_blending_in_yuv_gives_the_colours_of_blending_in_rgb(color: Color, opacity: float) -> None:
    """Oracle: the RGB overlay. Inside flat blocks only rounding differs."""
    frame = picture(64, 96, color)
    blocks = np.random.default_rng(1).integers(SPACE.num_classes, size=(8, 12), dtype=np.uint8)
    mask = blocks.repeat(8, axis=0).repeat(8, axis=1)
    blended = YuvOverlay(SPACE, opacity, color)(frame, mask)
    to_rgb = RgbConverter()
    expected = overlay(to_rgb(frame), mask, SPACE, opacity).astype(int)
    centres = (slice(4, None, 8), slice(4, None, 8))
    assert np.abs(to_rgb(blended).astype(int) - expected)[centres].max() <= 5
    assert blended.pts == 7
    assert blended.color_range == color.range


def test_the_source_frame_is_left_alone_and_odd_sizes_become_even() -> None:
    frame = picture(33, 47, BT709)
    before = [plane.copy() for plane in planes(frame)]
    blended = YuvOverlay(SPACE, 0.0, BT709)(frame, np.zeros((33, 47), np.uint8))
    assert (blended.width, blended.height) == (48, 34)
    luma = planes(blended)[0]
    assert np.array_equal(luma[:33, :47], before[0])
    assert np.array_equal(luma[33, :47], before[0][32])
    assert np.array_equal(luma[:, 47], luma[:, 46])
    for plane, expected in zip(planes(frame), before, strict=True):
        assert np.array_equal(plane, expected)


def test_full_range_is_recognised_and_untagged_frames_stay_untagged() -> None:
    frame = av.VideoFrame(16, 16, "yuvj420p")
    full = Color.of(frame)
    assert dict(full.tags)["color_range"] == 2
    plain = Color.of(av.VideoFrame(16, 16, "yuv420p"))
    assert dict(plain.tags)["color_range"] == 0
    assert dict(plain.tags)["colorspace"] == 2


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("upended", [False, True])
def test_turning_a_frame_is_turning_its_planes(
    transposed: bool, mirrored: bool, upended: bool
) -> None:
    frame = picture(34, 50, BT709)
    upright = turned(frame, Orientation(transposed, mirrored, upended))
    for found, source in zip(planes(upright), planes(frame), strict=True):
        expected = source.T if transposed else source
        expected = expected[:, ::-1] if mirrored else expected
        expected = expected[::-1] if upended else expected
        assert np.array_equal(found, expected)


# Streams


class Sleeper(Backend):
    """Takes longer for dark frames, and notes how many it has at the same time."""

    def __init__(self, streams: int, fault: int | None = None) -> None:
        self.metadata = ModelMetadata(SPACE, Preprocessing((32, 32)), {"name": "sleeper"})
        self.device, self.runtime = "cpu", "test"
        self.streams, self._fault = streams, fault
        self.now = self.most = 0
        self._lock = threading.Lock()

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep((255 - int(frames.max())) / 5000)
        with self._lock:
            self.now -= 1
        if frames.max() == self._fault:
            raise ValueError("model")
        return Prediction(frames[..., 0], frames[..., 0])


def grey_batches(levels: list[int]) -> list[Batch]:
    return [Batch([], [True], np.full((1, 2, 2, 3), level, np.uint8)) for level in levels]


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_results_come_in_order_however_long_each_takes(streams: int) -> None:
    levels = [int(level) for level in np.random.default_rng(0).integers(0, 256, 40)]
    backend = Sleeper(streams)
    results = Streams(backend)(iter(grey_batches(levels)))
    found = [int(prediction.mask[0, 0, 0]) for _, prediction in results if prediction]
    assert found == levels
    assert backend.most == streams


def test_live_frames_go_one_by_one_and_batches_without_images_pass() -> None:
    backend = Sleeper(4)
    assert len(list(Streams(backend, live=True)(grey_batches([0, 50, 100])))) == 3
    assert backend.most == 1
    empty = Batch([], [False], np.empty((0, 2, 2, 3), np.uint8))
    assert list(Streams(backend)([empty])) == [(empty, None)]


@pytest.mark.timeout(60)
def test_a_fault_comes_in_its_turn_and_leaves_no_thread() -> None:
    results = Streams(Sleeper(3, fault=30))(grey_batches([0, 200, 30, 250, 250]))
    assert [int(prediction.mask.max()) for _, prediction in (next(results), next(results))] == [
        0,
        200,
    ]
    with pytest.raises(ValueError, match="model"):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("infer")]


def test_leaving_early_leaves_no_thread() -> None:
    results = Streams(Sleeper(3))(grey_batches([100] * 50))
    next(results)
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("infer")]
