"""Videos of all kinds through the pipeline: nothing lost, nothing moved."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import (
    FRAMES,
    SPACE,
    GreyBackend,
    greys_of,
    image,
    level,
    make_clip,
    sound_of,
    times_of,
)

from cfcontra.errors import InputError
from cfcontra.runtime import open_backend
from cfcontra.serve.video import segment_video, write_video


def boxes_of(path: Path) -> list[str]:
    """Names of the top-level MP4 boxes."""
    data, names, position = path.read_bytes(), [], 0
    while position < len(data):
        size, name = struct.unpack(">I4s", data[position : position + 8])
        if size == 1:
            (size,) = struct.unpack(">Q", data[position + 8 : position + 16])
        names.append(name.decode())
        position += size
    return names


VARIABLE = [0, 33, 80, 81, 200, 233, 500, 533, 566, 1000, 1040, 1100]
KINDS: dict[str, dict[str, Any]] = {
    "ntsc.mp4": {},
    "odd rate.mkv": {"rate": Fraction(24000, 1001), "time_base": Fraction(1, 24000)},
    "variable.mp4": {"times": VARIABLE, "time_base": Fraction(1, 1000), "rate": Fraction(25)},
    "transport.ts": {"time_base": Fraction(1, 90000), "rate": Fraction(25), "audio": "aac"},
    "motion.avi": {
        "codec": "mjpeg",
        "pix_fmt": "yuvj420p",
        "rate": Fraction(15),
        "time_base": Fraction(1, 15),
    },
    "nine.webm": {"codec": "libvpx-vp9", "rate": Fraction(30), "time_base": Fraction(1, 30)},
    "full chroma.mp4": {"pix_fmt": "yuv444p"},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_and_timestamps_are_the_sources(tmp_path: Path, name: str) -> None:
    source = make_clip(tmp_path / name, **KINDS[name])
    output = tmp_path / "out.mp4"
    report = segment_video(source, output, GreyBackend(), opacity=0.0, threads=1)
    expected, found = times_of(source), times_of(output)
    assert report.frames == len(found) == len(expected)
    assert [time - found[0] for time in found] == [time - expected[0] for time in expected]
    if not name.endswith(".ts"):
        assert found[0] == expected[0]
    for before, after in zip(greys_of(source), greys_of(output), strict=True):
        assert abs(before - after) <= 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "out.mp4"])


def test_what_is_written_plays_in_browsers(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    boxes = boxes_of(tmp_path / "out.mp4")
    assert boxes[0] == "ftyp"
    assert boxes.index("moov") < boxes.index("mdat")
    assert "moof" not in boxes
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == Fraction(30000, 1001)
        assert (stream.width, stream.height) == (64, 48)
        assert stream.duration * stream.time_base == FRAMES * Fraction(1001, 30000)


def test_a_mask_lies_over_its_own_frame(tmp_path: Path) -> None:
    """With the classes opaque, frame n has the colour of the class of its own grey level."""
    source = make_clip(tmp_path / "in.mp4")
    backend = GreyBackend()
    segment_video(source, tmp_path / "out.mp4", backend, opacity=1.0, batch=5, threads=1)
    assert backend.batches == [5, 5, 5, 5, 4]
    with av.open(str(tmp_path / "out.mp4")) as container:
        for number, frame in enumerate(container.decode(video=0)):
            found = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
            classes = {min((level(number) + d) // 24, 10) for d in (-2, 0, 2)}
            assert min(np.abs(found - SPACE.colors[c]).max() for c in classes) < 12, number


def quadrants(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Left half bright, top right darker: every orientation looks different."""
    picture = np.full((size[1], size[0], 3), 40, np.uint8)
    picture[:, : size[0] // 2] = 220
    picture[: size[1] // 2, size[0] // 2 :] = 120
    return picture


@pytest.mark.parametrize(("degrees", "flip"), [(90, False), (180, False), (270, False), (90, True)])
def test_rotation_is_applied(tmp_path: Path, degrees: int, flip: bool) -> None:
    """Degrees are counter-clockwise, as `np.rot90` counts."""
    size = (64, 32)
    source = make_clip(
        tmp_path / "in.mp4",
        size=size,
        picture=quadrants,
        setup=lambda stream: stream.set_display_rotation(degrees, hflip=flip),
    )
    report = segment_video(source, tmp_path / "out.mp4", GreyBackend(), opacity=0, threads=1)
    expected = np.rot90(quadrants(0, size), degrees // 90)
    expected = expected[:, ::-1] if flip else expected
    assert report.size == expected.shape[1::-1]
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert frame.rotation == 0
    found = frame.to_ndarray(format="rgb24").astype(int)
    assert np.abs(found - expected)[4::8, 4::8].max() < 12


def test_odd_sizes_are_padded_to_even(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", size=(63, 47), codec="ffv1")
    report = segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    assert report.size == (63, 47)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (64, 48)
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    def full(stream: Any) -> None:
        stream.codec_context.color_range = 2

    source = make_clip(tmp_path / "in.mp4", pix_fmt="yuvj420p", setup=full)
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), opacity=0, threads=1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).color_range == 2
    for before, after in zip(greys_of(source), greys_of(tmp_path / "out.mp4"), strict=True):
        assert abs(before - after) <= 4


@pytest.mark.parametrize(("name", "codec"), [("in.mp4", "aac"), ("in.ts", "aac")])
def test_sound_is_copied(tmp_path: Path, name: str, codec: str) -> None:
    source = make_clip(tmp_path / name, audio=codec)
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    before, after = sound_of(source), sound_of(tmp_path / "out.mp4")
    assert len(after) > 30
    header = 7 if name.endswith(".ts") else 0  # MPEG-TS wraps each packet in ADTS
    assert [data for _, data in after] == [data[header:] for _, data in before[: len(after)]]
    start = times_of(source)[0] - times_of(tmp_path / "out.mp4")[0]
    for (earlier, _), (later, _) in zip(before, after, strict=False):
        assert abs(earlier - start - later) < Fraction(1, 1000)


def test_sound_that_mp4_cannot_hold_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip(tmp_path / "in.avi", audio="adpcm_ms", **KINDS["motion.avi"])
    segment_video(source, tmp_path / "out.mp4", GreyBackend(), threads=1)
    assert sound_of(tmp_path / "out.mp4") == []
    assert "adpcm_ms audio" in caplog.text


def test_a_real_model(tmp_path: Path, model_file: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=[0, 1001, 2002])
    backend = open_backend(model_file, "cpu", 1)
    report = segment_video(source, tmp_path / "out.mp4", backend, threads=1)
    assert (report.frames, report.rate) == (3, Fraction(30000, 1001))
    assert report.fps > 0


def test_progress_counts_every_frame(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    seen: list[tuple[int, int | None]] = []
    segment_video(
        source,
        tmp_path / "out.mp4",
        GreyBackend(),
        batch=7,
        threads=1,
        progress=lambda done, expected: seen.append((done, expected)),
    )
    assert seen == [(0, 24), (7, 24), (14, 24), (21, 24), (24, 24)]


# write_video


def test_written_video_has_its_frames_and_rate(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_video((image(n, (63, 47)) for n in range(10)), path, Fraction(30000, 1001))
    assert times_of(path) == [n * Fraction(1001, 30000) for n in range(10)]
    for number, grey in enumerate(greys_of(path)):
        assert abs(grey - level(number)) <= 4
    boxes = boxes_of(path)
    assert boxes.index("moov") < boxes.index("mdat")


def test_written_colours_are_the_given_ones(tmp_path: Path) -> None:
    colors = [(200, 30, 40), (20, 180, 60), (30, 60, 210)]
    frames = (np.full((48, 64, 3), color, np.uint8) for color in colors)
    write_video(frames, tmp_path / "clip.mp4", Fraction(10))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        for color, frame in zip(colors, container.decode(video=0), strict=True):
            found = frame.to_ndarray(format="rgb24").reshape(-1, 3).mean(axis=0)
            assert np.abs(found - color).max() < 8


@pytest.mark.parametrize(
    ("sizes", "message"), [([], "no frames"), ([(64, 48), (64, 64)], "frame 1 is")]
)
def test_unusable_frames_leave_no_file(
    tmp_path: Path, sizes: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        frames = (image(0, size) for size in sizes)
        write_video(frames, tmp_path / "clip.mp4", Fraction(25))
    assert list(tmp_path.iterdir()) == []
