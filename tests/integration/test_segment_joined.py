"""Recordings whose clock starts anew in the middle, or that are damaged near their end."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import FRAMES, GreyBackend, greys_of, make_clip, sound_of, times_of

from cfcontra import continuity
from cfcontra.serve.video import segment_video
from cfcontra.serve.video.audio import AudioTrack
from cfcontra.serve.video.limit import Limited
from cfcontra.serve.video.pipe import Pipe
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.source import Mark, Source

pytestmark = pytest.mark.timeout(120)
TICKS, RATE = Fraction(1, 90000), Fraction(25)
STEP = 3600
LENGTH = 2 * FRAMES  # of each part: longer than a second, below which nothing is a restart


def part(path: Path, begins: int = 0, audio: str | None = None, length: int = LENGTH) -> Path:
    times = [begins + STEP * n for n in range(length)]
    return make_clip(path, times=times, time_base=TICKS, rate=RATE, audio=audio)


def join(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(one.read_bytes() for one in parts))
    return path


def open_source(path: Path, piped: bool) -> Source:
    if not piped:
        return VideoReader(path, 1)
    reading, writing = os.pipe()

    def feed() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(path.read_bytes())

    threading.Thread(target=feed, daemon=True).start()
    return VideoReader(Pipe(reading), 1)


@pytest.mark.parametrize("piped", [False, True])
def test_time_goes_on_through_joined_recordings_and_sound_stays_in_step(
    tmp_path: Path, piped: bool
) -> None:
    one = part(tmp_path / "one.ts", audio="aac")
    joined = join(tmp_path / "joined.ts", one, one, one)
    output = tmp_path / "out.mp4"
    report = segment_video(open_source(joined, piped), output, GreyBackend())
    assert report.frames == 3 * LENGTH
    assert greys_of(output) == 3 * greys_of(output)[:LENGTH]
    times = times_of(output)
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    # Where sound ends later than the pictures, the next part begins behind the sound.
    assert all(Fraction(1, 25) - TICKS <= step < Fraction(1, 10) for step in steps)
    # Every packet of a part lies as far from the part's first picture as in the part itself.
    pictures, sound = times_of(one)[0], sound_of(one)
    expected = {
        data[7:]: [times[number * LENGTH] - pictures + time for number in range(3)]
        for time, data in sound  # without ADTS
    }
    found = sound_of(output)
    assert len(found) == 3 * len(sound)
    for time, data in found:
        assert min(abs(time - other) for other in expected[data]) <= Fraction(1, 1000)


@pytest.mark.parametrize("piped", [False, True])
def test_sound_that_goes_back_by_less_is_left_out_and_the_pictures_are_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    piped: bool,
) -> None:
    monkeypatch.setattr(continuity, "_BACK", 10.0)
    one = part(tmp_path / "one.ts", audio="aac")
    joined = join(tmp_path / "joined.ts", one, one)
    report = segment_video(open_source(joined, piped), tmp_path / "out.mp4", GreyBackend())
    assert report.frames == 2 * LENGTH
    assert len(sound_of(tmp_path / "out.mp4")) == len(sound_of(one))
    assert f"sound that overlaps itself is left out (packets: {len(sound_of(one))})" in caplog.text


@pytest.mark.parametrize(
    ("begins", "piped"), [(0, False), (3600 * 90000, False), (3600 * 90000, True)]
)
def test_pictures_alone_go_on_by_a_step(tmp_path: Path, begins: int, piped: bool) -> None:
    """From a clock that says an hour too, whose restart FFmpeg takes for an overflow."""
    first = part(tmp_path / "first.ts", begins)
    joined = join(tmp_path / "joined.ts", first, part(tmp_path / "second.ts"))
    with open_source(joined, piped) as source:
        times = [frame.image.pts for frame in source]
    assert times == [STEP * n for n in range(2 * LENGTH)]


@pytest.mark.parametrize(
    ("length", "done"),
    [(LENGTH, 20), (LENGTH, LENGTH), (LENGTH, LENGTH + 20), (400, 350)],
)
def test_joined_recordings_are_gone_on_with_at_the_same_frame(
    tmp_path: Path, length: int, done: int
) -> None:
    """In the last of them seeking finds the time in the second part, though it is the first's."""
    one = part(tmp_path / "one.ts", length=length)
    joined = join(tmp_path / "joined.ts", one, one)
    with VideoReader(joined, 1) as source:
        frames = [(frame.index, frame.image.pts, frame.origin) for frame in source]
    _, pts, origin = frames[done - 1]
    assert pts is not None
    with VideoReader(joined, 1) as source:
        source.skip_to(Mark(done, pts, origin))
        assert [(frame.index, frame.image.pts, frame.origin) for frame in source] == frames[done:]


def noise(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), np.uint8)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("which", [-1, -4])
def test_what_follows_damage_near_the_end_is_not_lost(
    tmp_path: Path, threads: int, which: int
) -> None:
    """However many threads decode: each holds a frame back, and one of them fails."""
    clip = make_clip(tmp_path / "drive.mp4", picture=noise)
    with av.open(str(clip)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    at, size = packets[which]
    assert at is not None
    data = bytearray(clip.read_bytes())
    data[at + 4 : at + size] = bytes((37 * n + 11) % 256 for n in range(size - 4))
    (tmp_path / "hurt.mp4").write_bytes(data)
    with VideoReader(tmp_path / "hurt.mp4", 1) as source:
        expected = [frame.image.pts for frame in source]
    assert len(expected) >= FRAMES - 2
    with VideoReader(tmp_path / "hurt.mp4", threads) as source:
        assert [frame.image.pts for frame in source] == expected
        assert source.damaged == 1


def test_sound_is_read_as_far_as_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demuxed = AudioTrack._demuxed
    read: list[float] = []

    def watched(
        self: AudioTrack, source: av.container.InputContainer
    ) -> Iterator[av.Packet[av.stream.Stream]]:
        for packet in demuxed(self, source):
            if packet.dts is not None:
                read.append(float(packet.dts * packet.time_base))
            yield packet

    monkeypatch.setattr(AudioTrack, "_demuxed", watched)
    clip = part(tmp_path / "drive.mkv", audio="aac")
    segment_video(Limited(VideoReader(clip, 1), 0.4), tmp_path / "out.mp4", GreyBackend())
    assert len(sound_of(tmp_path / "out.mp4")) >= 18
    assert max(read) < 0.8
