"""Live sources without a network: connections that break, clocks that jump, sizes that change."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.orientation import Orientation
from cfcontra.serve.video import feed as feed_module
from cfcontra.serve.video.address import file_stem, is_stream, redacted
from cfcontra.serve.video.audio import AudioTrack
from cfcontra.serve.video.backoff import delays
from cfcontra.serve.video.color import BT709
from cfcontra.serve.video.connect import is_live, open_live
from cfcontra.serve.video.feed import LostError
from cfcontra.serve.video.find import find
from cfcontra.serve.video.fit import Fit
from cfcontra.serve.video.limit import Limited
from cfcontra.serve.video.live import LiveSource
from cfcontra.serve.video.live_status import LiveStatus
from cfcontra.serve.video.picture import planes
from cfcontra.serve.video.sink import Segmented
from cfcontra.serve.video.source import VideoFormat

SECRETS = ("hunter2", "admin", "abc123")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:hunter2@10.0.0.5:554/h264/1", "rtsp://***@10.0.0.5:554/h264/1"),
        ("rtsp://10.0.0.5/live", "rtsp://10.0.0.5/live"),
        ("http://admin:hun/ter2@cam.local/x", "http://***@cam.local/x"),
        ("rtsp://admin:hunter2@abc123@cam/x", "rtsp://***@cam/x"),
        ("https://cam/live.m3u8?token=abc123&x=1", "https://cam/live.m3u8?***"),
        ("rtsp://cam/user=admin_password=hunter2_channel=1", "rtsp://cam/user=***_password=***_channel=1"),
        ("RTSP://ADMIN:hunter2@cam", "RTSP://***@cam"),
        ("rtsp://cam/x#hunter2", "rtsp://cam/x"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_their_secrets(address: str, shown: str) -> None:
    assert redacted(address) == shown
    for secret in SECRETS:
        assert secret not in file_stem(address)


def test_what_is_live_is_told_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all(map(is_live, ("0", "/dev/video0", "rtsp://cam/1", "https://cam/live.ts")))
    assert not any(map(is_live, ("drive.mp4", "drives/*.mp4", "-", "c:/x.mp4", "file://x.mp4")))
    (tmp_path / "0").touch()
    assert not is_live("0")
    assert not is_stream("rtsp:/cam")


def test_results_of_a_stream_are_called_after_it_without_secrets() -> None:
    (found,) = find(["rtsp://admin:hunter2@10.0.0.5:554/h264/1"])
    assert found.source.name.startswith("10-0-0-5-554-h264-1-")
    assert "hunter2" not in str(found.source) + str(found.relative) + found.name + found.title


def test_pauses_double_up_to_the_longest_and_are_jittered() -> None:
    first = list(itertools.islice(delays(random.Random(1), 0.5, 8.0), 8))
    other = list(itertools.islice(delays(random.Random(2), 0.5, 8.0), 8))
    for delay, most in zip(first, (0.5, 1, 2, 4, 8, 8, 8, 8), strict=True):
        assert most / 2 <= delay <= most
    assert first != other


def picture(width: int, height: int, luma: int = 100, pts: int | None = None) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for index, plane in enumerate(planes(frame)):
        plane[:] = luma if index == 0 else 128
    BT709.tag(frame)
    if pts is not None:
        frame.pts, frame.time_base = pts, Fraction(1, 25)
    return frame


class FakeFeed:
    """A connection that gives what it is told to, then breaks or ends."""

    def __init__(
        self,
        frames: list[av.VideoFrame],
        recorded: bool = False,
        damaged: int = 0,
        audio: AudioTrack | None = None,
        muted: bool = False,
        in_segments: bool = False,
    ) -> None:
        self._frames = frames
        self.in_segments = in_segments
        self.recorded, self.damaged = recorded, damaged
        self.audio, self.muted = audio, muted
        self.rate, self.aspect = Fraction(25), Fraction(1)
        self.seconds = Fraction(len(frames), 25) if recorded else None
        self.closed = False

    def __iter__(self) -> Iterator[av.VideoFrame]:
        for frame in self._frames:
            time.sleep(0.005)
            yield frame
        if not self.recorded:
            raise LostError("cut")

    def close(self) -> None:
        self.closed = True


def connector(*connections: FakeFeed | LostError) -> Callable[[], FakeFeed]:
    remaining = iter(connections)

    def connect() -> FakeFeed:
        connection = next(remaining, None)
        if connection is None:
            raise LostError("nobody there")
        if isinstance(connection, LostError):
            raise connection
        return connection

    return connect


def quick() -> Iterator[float]:
    return itertools.repeat(0.01)


def steady(count: int, start: int = 0) -> list[av.VideoFrame]:
    return [picture(64, 48, pts=start + n) for n in range(count)]


def test_a_source_goes_through_losses_and_failed_attempts() -> None:
    feeds = [FakeFeed(steady(5), damaged=1), FakeFeed(steady(4, 900), damaged=2)]
    connect = connector(feeds[0], LostError("refused"), LostError("refused"), feeds[1])
    with LiveSource("cam", connect, quick) as source:
        frames = list(itertools.islice(source, 9))
        assert [frame.index for frame in frames] == list(range(9))
        assert source.reconnected == 1
        assert source.damaged == 3
        assert source.live
        times = [frame.image.pts for frame in frames]
        assert all(a < b for a, b in itertools.pairwise(times))
        # Within a connection time is the stream's; its clock may start anew in the next.
        steps = np.diff(times)
        assert set(steps[:4]) | set(steps[5:]) == {3600}
    assert feeds[0].closed
    assert feeds[1].closed


def test_interrupting_ends_a_source_that_is_waiting_to_reconnect() -> None:
    source = LiveSource("cam", connector(FakeFeed(steady(2))), lambda: itertools.repeat(60.0))
    iterator = iter(source)
    assert next(iterator).index == 0
    assert next(iterator).index == 1
    limited = Limited(source, 0.3)
    started = time.monotonic()
    assert not limited.resumable
    assert list(limited) == []
    assert 0.2 < time.monotonic() - started < 20
    limited.close()
    assert not source._thread.is_alive()


def test_a_camera_that_is_not_there_at_first_is_an_error() -> None:
    with pytest.raises(InputError, match="nobody there"):
        LiveSource("cam", connector())
    lost_at_once = FakeFeed([])
    with pytest.raises(InputError, match="cam: cut"):
        LiveSource("cam", connector(lost_at_once))
    assert lost_at_once.closed


def test_a_recording_is_read_whole_and_ends() -> None:
    with LiveSource("server", connector(FakeFeed(steady(40), recorded=True))) as source:
        assert not source.live
        assert source.expected == 40
        frames = []
        for frame in source:
            time.sleep(0.01)  # slower than it comes: nothing is dropped for it
            frames.append(frame)
    assert len(frames) == 40


def test_a_recording_begins_where_its_sound_does() -> None:
    audio = AudioTrack("server", "http://server/x", Fraction(3))
    feed = FakeFeed(steady(3, start=80), recorded=True, audio=audio)
    with LiveSource("server", connector(feed)) as source:
        assert source.sound(Path()) is audio
        assert [frame.seconds for frame in source] == pytest.approx([0.2, 0.24, 0.28])


def test_the_sound_of_what_is_live_is_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    feeds = [FakeFeed(steady(1), muted=True) for _ in range(2)]
    with LiveSource("cam", connector(*feeds), quick) as source:
        assert source.sound(Path()) is None
        list(itertools.islice(source, 2))
    assert caplog.text.count("its sound is left out") == 1


def test_a_clock_that_jumps_follows_ours() -> None:
    jump = [*steady(3), *steady(3, 100_000), *steady(3)]
    with LiveSource("cam", connector(FakeFeed(jump)), quick) as source:
        frames = list(itertools.islice(source, 9))
    assert frames[-1].seconds < 5
    times = [frame.image.pts for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))


def test_another_size_is_fitted_with_bars() -> None:
    turned = FakeFeed([picture(48, 64, luma=200)])
    with LiveSource("cam", connector(FakeFeed(steady(1)), turned), quick) as source:
        first, second = itertools.islice(source, 2)
    assert (first.image.width, first.image.height) == (64, 48)
    luma = planes(second.image)[0]
    assert luma.shape == (48, 64)
    # 48×64 becomes 36×48 in the middle; the rest is black.
    assert (luma[:, 16:48] > 190).all()
    assert (luma[:, :12] == 16).all()
    assert (luma[:, 52:] == 16).all()


def test_the_same_aspect_is_scaled_without_bars_and_the_same_form_is_not_touched() -> None:
    form = VideoFormat(64, 48, Fraction(25), Fraction(1, 90_000), BT709)
    fit = Fit(form)
    same = picture(64, 48)
    assert fit(same, Fraction(1), Orientation()) is same
    larger = fit(picture(128, 96, luma=150), Fraction(1), Orientation())
    assert (abs(planes(larger)[0].astype(int) - 150) <= 1).all()
    turned = fit(picture(48, 64, luma=90), Fraction(1), Orientation(transposed=True))
    assert planes(turned)[0].shape == (48, 64)
    assert (planes(turned)[0] == 90).all()


def result(index: int, captured: float) -> Segmented:
    from cfcontra.serve.video.source import Frame

    mask: NDArray[np.uint8] = np.zeros((48, 64), np.uint8)
    return Segmented(Frame(index, picture(64, 48, pts=index), captured=captured), mask, mask)


def test_latency_and_drops_are_told() -> None:
    with LiveSource("cam", connector(FakeFeed(steady(1))), quick) as source:
        status = LiveStatus(source)
        for index in (0, 1, 4, 9):
            status(result(index, time.perf_counter() - 0.25))
    assert status.dropped == 6
    assert 250 <= status.latency(0.5) < 400
    assert "6 dropped" in status.summary()


class FakeCapture:
    """OpenCV's camera, as far as it is used."""

    opened = True
    pictures = 3

    def __init__(self, place: object, interface: int) -> None:
        self.left = self.pictures

    def isOpened(self) -> bool:  # noqa: N802
        return self.opened

    def set(self, *_: object) -> bool:
        return True

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        self.left -= 1
        if self.left < 0:
            return False, None
        blue = np.zeros((48, 64, 3), np.uint8)
        blue[..., 0] = 255
        return True, blue

    def release(self) -> None: ...


def test_a_camera_gives_upright_frames_in_its_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(feed_module.cv2, "VideoCapture", FakeCapture)
    camera = feed_module.CameraFeed(device)
    assert camera.rate == 30
    frame = next(iter(camera))
    assert frame.to_ndarray(format="rgb24")[24, 32].tolist() == pytest.approx([0, 0, 255], abs=4)
    with pytest.raises(LostError, match="no picture"):
        list(camera)


def test_cameras_that_are_missing_or_busy_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"there is no camera /dev/video77"):
        open_live("77")
    monkeypatch.setattr(FakeCapture, "opened", False)
    monkeypatch.setattr(feed_module.cv2, "VideoCapture", FakeCapture)
    device = tmp_path / "video0"
    device.touch()
    with pytest.raises(LostError, match="cannot be opened"):
        feed_module.CameraFeed(device)
