"""What a video says about itself is what its overlay says: times, rate, colours, shape, sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import GreyBackend, make_clip

from cfcontra.errors import InputError
from cfcontra.serve.video import segment_video

pytestmark = pytest.mark.timeout(120)
SIZE = (96, 64)
DASHCAM = Path(__file__).parents[3] / "shared" / "data" / "dashcam" / "highway.mp4"


@dataclass(frozen=True)
class Facts:
    """What ffprobe would tell about the pictures of a file."""

    times: list[Fraction]
    rate: Fraction
    size: tuple[int, int]
    aspect: Fraction
    range: int
    tags: tuple[int, int, int]
    frames: list[av.VideoFrame]

    @classmethod
    def of(cls, path: Path) -> Facts:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            frames = list(container.decode(stream))
            first = frames[0]
            start = stream.start_time * stream.time_base
            times = [frame.pts * frame.time_base - start for frame in frames]
            full = first.format.name.startswith("yuvj") or first.color_range == 2
            return cls(
                times,
                stream.average_rate,
                (stream.width, stream.height),
                stream.sample_aspect_ratio or Fraction(1),
                2 if full else 1,
                (first.colorspace, first.color_primaries, first.color_trc),
                frames,
            )


def street(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Coloured patches under a slope of light that moves."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    colors = np.array([(200, 40, 30), (30, 170, 60), (40, 60, 200), (190, 190, 60)])
    patch = colors[(rows // 16 % 2) * 2 + columns // 16 % 2]
    light = 0.6 + 0.4 * np.sin((columns + 3 * number) * 0.06 + rows * 0.02)
    return (patch * light[..., None]).round().astype(np.uint8)


def psnr(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    difference = found.astype(float) - expected.astype(float)
    return 10 * np.log10(255**2 / max(float((difference**2).mean()), 1e-9))


def with_b_frames(stream: Any) -> None:
    stream.options = {"bf": "3", "b-adapt": "0", "g": "10"}


def wide(stream: Any) -> None:
    stream.codec_context.sample_aspect_ratio = Fraction(4, 3)


def tagged(space: int, full: bool) -> Callable[[Any], None]:
    def tag(stream: Any) -> None:
        context = stream.codec_context
        context.color_range = 2 if full else 1
        context.colorspace = context.color_primaries = context.color_trc = space

    return tag


TICKS, MILLISECOND = Fraction(1, 90000), Fraction(1, 1000)
CLIPS: dict[str, dict[str, Any]] = {
    "h264 25.mp4": {"rate": Fraction(25), "time_base": Fraction(1, 25)},
    "h264 b-frames.mp4": {"setup": with_b_frames},
    "h264 b-frames.ts": {"setup": with_b_frames, "rate": Fraction(25), "time_base": TICKS},
    "h264 59.94.mp4": {"rate": Fraction(60000, 1001), "time_base": Fraction(1, 60000)},
    "h264 starts late.mp4": {"times": [90000 + 3000 * n for n in range(12)],
 "time_base": TICKS,
 "rate": Fraction(30)},
    "h264 starts late.mkv": {
        "times": [5000 + 40 * n for n in range(12)],
        "time_base": MILLISECOND,
        "rate": Fraction(25),
    },
    "h264 starts early.mp4": {"times": [3000 * n - 9000 for n in range(12)],
 "time_base": TICKS,
 "rate": Fraction(30)},
    "h264 variable b-frames.mkv": {
        "times": [0, 40, 41, 120, 500, 533, 566, 600, 1400, 1433, 1500, 1533],
        "time_base": MILLISECOND,
        "rate": Fraction(25),
        "setup": with_b_frames,
    },
    "hevc.mp4": {"codec": "libx265"},
    "hevc 10 bits.mkv": {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "rate": Fraction(24),
        "time_base": MILLISECOND,
        "times": [round(1000 * n / 24) for n in range(12)],
    },
    "vp9.webm": {"codec": "libvpx-vp9", "rate": Fraction(30), "time_base": MILLISECOND,
                 "times": [round(1000 * n / 30) for n in range(12)]},
    "mjpeg.mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "rate": Fraction(15),
                  "time_base": MILLISECOND, "times": [round(1000 * n / 15) for n in range(9)]},
    "mpeg2.ts": {"codec": "mpeg2video", "rate": Fraction(25), "time_base": Fraction(1, 25)},
    "raw 4:2:2.avi": {"codec": "rawvideo", "pix_fmt": "yuyv422", "rate": Fraction(10),
                      "time_base": Fraction(1, 10), "times": list(range(8))},
    "wide pixels.mp4": {"setup": wide},
    "bt709.mp4": {"setup": tagged(1, full=False)},
    "bt601 full.mp4": {"setup": tagged(6, full=True)},
    "bt709 full.mp4": {"setup": tagged(1, full=True)},
}  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_an_overlay_of_no_opacity_is_the_source(tmp_path: Path, name: str) -> None:
    source = make_clip(tmp_path / name, size=SIZE, picture=street, **CLIPS[name])
    output = tmp_path / "out.mp4"
    report = segment_video(source, output, GreyBackend(), opacity=0.0, batch=3, threads=1)
    facts = Facts.of(output)
    assert_same_pictures(Facts.of(source), facts)
    assert report.frames == len(facts.frames)
    if "variable" not in name:
        rate = CLIPS[name].get("rate", Fraction(30000, 1001))
        if CLIPS[name].get("time_base") == MILLISECOND:  # a rate is as exact as the times it is of
            assert abs(report.frames / facts.rate - report.frames / rate) < MILLISECOND
        else:
            assert facts.rate == rate


def assert_same_pictures(source: Facts, output: Facts, step: int = 1) -> None:
    """All but the pictures themselves, which are compared at every `step`, is equal."""
    assert len(output.times) == len(source.times)
    assert output.times == source.times
    assert output.size == source.size
    assert output.aspect == source.aspect
    assert output.range == source.range
    assert output.tags == source.tags
    for before, after in zip(source.frames[::step], output.frames[::step], strict=True):
        # How chroma becomes RGB depends on the depth and layout of the samples.
        expected = before.reformat(format="yuv420p").to_ndarray(format="rgb24")
        found = after.to_ndarray(format="rgb24")
        assert psnr(found, expected) > 34
        assert np.abs(found.mean((0, 1)) - expected.mean((0, 1))).max() < 2


def test_a_quarter_turn_swaps_the_shape_of_pixels(tmp_path: Path) -> None:
    def setup(stream: Any) -> None:
        wide(stream)
        stream.set_display_rotation(90)

    source = make_clip(tmp_path / "in.mp4", size=SIZE, picture=street, setup=setup)
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    facts = Facts.of(tmp_path / "out.mp4")
    assert (facts.size, facts.aspect) == (SIZE[::-1], Fraction(3, 4))


@pytest.mark.skipif(not DASHCAM.is_file(), reason="needs the dashcam clip")
def test_a_real_drive(tmp_path: Path) -> None:
    segment_video(DASHCAM, tmp_path / "out.mp4", GreyBackend(), opacity=0.0)
    source, output = Facts.of(DASHCAM), Facts.of(tmp_path / "out.mp4")
    assert len(source.frames) == 221
    assert_same_pictures(source, output, step=20)


# Sound


def packets(path: Path, index: int = 0) -> list[tuple[Fraction, bytes]]:
    """Sound with its times from the first picture on."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        start = video.start_time * video.time_base
        found = container.demux(container.streams.audio[index])
        return [(p.pts * p.time_base - start, bytes(p)) for p in found if p.pts is not None]


@pytest.mark.parametrize(
    ("name", "codec", "clip"),
    [
        ("in.mkv", "aac", "h264 b-frames.mp4"),
        ("in.webm", "libopus", "vp9.webm"),
        ("in.mp4", "mp3", "h264 starts late.mp4"),
        ("in.mkv", "ac3", "h264 starts late.mkv"),
        ("in.mkv", "flac", "h264 variable b-frames.mkv"),
    ],
)
def test_sound_is_copied_to_the_bit_and_stays_in_step(
    tmp_path: Path, name: str, codec: str, clip: str
) -> None:
    source = make_clip(tmp_path / name, size=SIZE, audio=codec, **CLIPS[clip])
    output = tmp_path / "out.mp4"
    segment_video(source, output, GreyBackend(), threads=1)
    before, after = packets(source), packets(output)
    assert len(after) > 10
    assert [data for _, data in after] == [data for _, data in before[: len(after)]]
    for (earlier, _), (later, _) in zip(before, after, strict=False):
        assert abs(earlier - later) <= Fraction(1, 1000)  # Matroska's own unit
    end = Facts.of(source).times[-1]
    assert all(time >= end for time, _ in before[len(after) :])


def test_every_track_of_sound_is_kept(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mp4", audio="aac")
    source = tmp_path / "two.mkv"
    with av.open(str(plain)) as one, av.open(str(source), "w") as two:
        streams = {s.index: [two.add_stream_from_template(s)] for s in one.streams}
        audio = one.streams.audio[0]
        streams[audio.index].append(two.add_stream_from_template(audio))
        for packet in one.demux():
            if packet.dts is None:
                continue
            for stream in streams[packet.stream_index]:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                two.mux(copy)
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.audio) == 2
    assert packets(tmp_path / "out.mp4", 1) == packets(tmp_path / "out.mp4", 0) != []


# What cannot be read


def test_an_unknown_codec_is_named_for_every_file_that_has_it(tmp_path: Path) -> None:
    """The same message twice in a row is one that FFmpeg does not repeat by itself."""
    clip = make_clip(
        tmp_path / "a.avi", codec="mpeg4", rate=Fraction(25), time_base=Fraction(1, 25)
    )
    unknown = tmp_path / "unknown.avi"
    unknown.write_bytes(clip.read_bytes().replace(b"FMP4", b"QQQQ"))
    for _ in range(3):
        with pytest.raises(InputError, match=r"nothing here decodes its video codec \(QQQQ\)"):
            segment_video(unknown, tmp_path / "out.mp4", GreyBackend())


@pytest.mark.parametrize("size", [(1, 1), (4096, 2160)])
def test_the_smallest_and_large_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="ffv1", size=size, times=[0, 1001])
    report = segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    assert (report.size, report.frames) == (size, 2)
    assert Facts.of(tmp_path / "out.mp4").size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
