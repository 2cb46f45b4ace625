"""Everything that frames can come from."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from video_clips import FRAMES, GreyBackend, greys_of, image, level, make_clip, sound_of, times_of

import cfcontra.runtime
from cfcontra.runtime import Prediction
from cfcontra.serve.cli import segment

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: GreyBackend())
    return tmp_path


def run(*arguments: str | Path, status: int = 0) -> None:
    assert segment([*map(str, arguments), "--model", "m.onnx", "--threads", "1"]) == status


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def drives(place: Path) -> Path:
    """Videos in folders, with things beside them that are none."""
    for name in ("monday/a.mp4", "monday/late/a.mp4", "b.mkv"):
        (place / "drives" / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(place / "drives" / name, times=[0, 1001, 2002])
    (place / "drives" / ".hidden.mp4").write_bytes(b"")
    (place / "drives" / "thumb.jpg").write_bytes(b"")
    (place / "drives" / "notes.txt").write_text("x")
    return place / "drives"


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_is_mirrored(drives: Path, inside: bool) -> None:
    output = drives / "out" if inside else drives.parent / "out"
    for _ in range(2):  # what lies in the output is no source the second time
        run(drives, "--output", output, "--overwrite")
        assert tree(output) == [
            "b-segmented.mp4",
            "monday/a-segmented.mp4",
            "monday/late/a-segmented.mp4",
        ]


def test_a_folder_without_output_gets_its_results_beside_the_videos(drives: Path) -> None:
    for _ in range(2):
        run(drives, "--overwrite")
    assert [name for name in tree(drives) if name.endswith("segmented.mp4")] == [
        "b-segmented.mp4",
        "monday/a-segmented.mp4",
        "monday/late/a-segmented.mp4",
    ]


def test_a_pattern_is_mirrored_from_its_first_wildcard(drives: Path) -> None:
    run("drives/*/**/*.mp4", "--output", "out")
    assert tree(Path("out")) == ["monday/a-segmented.mp4", "monday/late/a-segmented.mp4"]


def test_several_folders_keep_their_names(drives: Path) -> None:
    run("drives/monday/late", "drives/monday", "drives/b.mkv", "--output", "out")
    assert tree(Path("out")) == [
        "b-segmented.mp4",
        "late/a-segmented.mp4",
        "monday/a-segmented.mp4",
    ]


@contextmanager
def pictures(folder: Path, count: int = 12, size: tuple[int, int] = (64, 48)) -> Iterator[Path]:
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"frame{number}.png"), image(number, size))
    yield folder


def test_a_folder_of_pictures_is_a_video_in_their_natural_order(place: Path) -> None:
    with pictures(place / "shots"):
        run("shots", "--write", "overlay,png", "--opacity", "0", "--rate", "30000/1001")
    assert times_of(Path("shots-segmented.mp4")) == [n * Fraction(1001, 30000) for n in range(12)]
    for number, grey in enumerate(greys_of(Path("shots-segmented.mp4"))):
        assert abs(grey - level(number)) <= 4
    assert tree(Path("shots-masks")) == sorted(f"frame{n}.png" for n in range(12))
    run("shots", "--write", "overlay,png", "--overwrite")


def test_the_slowest_rate_is_a_video_and_decoding_elsewhere_is_not_for_pictures(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pictures(place / "shots", 2):
        run("shots", "--rate", "0.001")
        assert times_of(Path("shots-segmented.mp4")) == [0, 1000]
        run("shots", "--hwaccel", "cuda", "--overwrite", status=2)
    assert "--hwaccel cuda: decodes videos and streams, not the pictures of shots" in (
        capsys.readouterr().err
    )


def test_folders_of_pictures_below_a_folder_are_one_video_each(place: Path) -> None:
    with pictures(place / "all/one", 3), pictures(place / "all/two/deep", 3):
        run("all", "--output", "out")
    assert tree(Path("out")) == ["one-segmented.mp4", "two/deep-segmented.mp4"]


def test_names_with_dots_go_through_every_kind_and_twice(place: Path) -> None:
    for name in ("v1.0/a.b.mp4", "v1.0/a.c.mp4", "v1.1/a.b.mp4"):
        (place / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        make_clip(place / "in" / name, times=[0, 1001])
    masks = ["000000.png", "000001.png"]
    for again in ((), ("--overwrite",), ("--resume",)):
        run("in", "--write", "overlay,png,jsonl", "--output", "out.2024", *again)
        assert tree(place / "out.2024") == sorted(
            f"{name}{result}"
            for name in ("v1.0/a.b", "v1.0/a.c", "v1.1/a.b")
            for result in ("-segmented.mp4", "-masks.jsonl", *(f"-masks/{one}" for one in masks))
        )


def test_pictures_whose_names_differ_in_their_endings_alone_keep_a_mask_each(place: Path) -> None:
    with pictures(place / "shots", 2) as folder:
        for name in ("frame1.jpg", "frame1.jpg.png"):  # the one's name is the other's stem
            cv2.imwrite(str(folder / name), image(1, (64, 48)))
    run("shots", "--write", "png")
    masks = ["frame0.png", "frame1.jpg.png", "frame1.jpg.png.png", "frame1.png.png"]
    assert tree(place / "shots-masks") == masks


def test_pictures_of_two_sizes_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pictures(place / "shots", 3) as folder:
        cv2.imwrite(str(folder / "frame9.png"), image(9, (32, 32)))
        run("shots", status=2)
    assert "frame9.png: is 32×32, the first picture was 64×48" in capsys.readouterr().err
    assert sorted(path.name for path in place.iterdir()) == ["shots"]


def test_a_picture_that_cannot_be_decoded_is_skipped_and_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pictures(place / "shots", 4) as folder:
        (folder / "frame2.png").write_bytes(b"no picture")
        run("shots", "--rate", "10")
    assert "frame2.png: cannot be decoded" in capsys.readouterr().err
    assert times_of(Path("shots-segmented.mp4")) == [Fraction(n, 10) for n in (0, 1, 3)]


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Let descriptor 0 be a pipe that somebody else fills slowly."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)

    def fill() -> None:
        with os.fdopen(writing, "wb") as pipe:
            for start in range(0, len(data), 5000):
                pipe.write(data[start : start + 5000])

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)
        thread.join(10)


@pytest.mark.parametrize(
    ("name", "audio"),
    [("drive.ts", "aac"), ("drive.mkv", "aac"), ("drive.mkv", "libopus"), ("drive.mkv", None)],
)
def test_a_stream_through_standard_input(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, audio: str | None
) -> None:
    """The result is that of the same stream as a file, to the bit."""
    clip = make_clip(place / name, time_base=Fraction(1, 90000), rate=Fraction(25), audio=audio)
    run(name, "--write", "overlay,mask", "--output", "whole")
    monkeypatch.setattr(sys, "stdin", open(0, closefd=False))  # noqa: SIM115
    with standard_input(clip.read_bytes()):
        run("-", "--write", "overlay,mask", "--output", "piped")
    for kind in ("segmented", "mask"):
        whole, piped = Path(f"whole/drive-{kind}.mp4"), Path(f"piped/stdin-{kind}.mp4")
        assert times_of(piped) == times_of(whole)
        assert greys_of(piped) == greys_of(whole)
        assert sound_of(piped) == sound_of(whole)
        assert len(sound_of(piped)) > 30 or audio is None
        assert abs(sound_length(piped) - sound_length(whole)) <= Fraction(1, 500)
    assert tree(place / "piped") == ["stdin-mask.mp4", "stdin-segmented.mp4"]


def sound_length(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        for stream in container.streams.audio:
            assert stream.duration is not None and stream.time_base is not None
            return stream.duration * stream.time_base
    return Fraction(0)


def test_ctrl_c_on_a_stream_with_sound_keeps_both_up_to_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(GreyBackend):
        def _run(self, frames: NDArray[np.uint8]) -> Prediction:
            if len(self.batches) == 10:
                raise KeyboardInterrupt
            return super()._run(frames)

    clip = make_clip(
        place / "drive.ts", time_base=Fraction(1, 90000), rate=Fraction(25), audio="aac"
    )
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: Interrupted())
    monkeypatch.setattr(sys, "stdin", open(0, closefd=False))  # noqa: SIM115
    with standard_input(clip.read_bytes()):
        run("-", "--output", "out.mp4", status=130)
    found, whole = times_of(Path("out.mp4")), times_of(clip)
    assert [t - found[0] for t in found] == [t - whole[0] for t in whole[:10]]
    sound = [data for _, data in sound_of(Path("out.mp4"))]
    assert sound == [data[7:] for _, data in sound_of(clip)[: len(sound)]]  # without ADTS
    assert 0.3 < len(sound) * 1024 / 48000 <= 0.5
    assert tree(place) == ["drive.ts", "out.mp4"]


@pytest.mark.parametrize("pixels", ["rgb24", "bgr24", "gray", "yuv420p", "nv12"])
def test_raw_frames_through_standard_input(
    place: Path, monkeypatch: pytest.MonkeyPatch, pixels: str
) -> None:
    size = (63, 47)
    frames = []
    for number in range(FRAMES):
        grey = np.full(size[::-1], level(number), np.uint8)
        if pixels in ("rgb24", "bgr24"):
            frames.append(np.repeat(grey[..., None], 3, axis=2).tobytes())
        elif pixels == "gray":
            frames.append(grey.tobytes())
        else:
            frames.append(grey.tobytes() + bytes([128]) * (2 * 32 * 24))
    monkeypatch.setattr(sys, "stdin", open(0, closefd=False))  # noqa: SIM115
    with standard_input(b"".join(frames)):
        run(
            *("-", "--raw", "63x47", "--pixels", pixels, "--rate", "30"),
            *("--output", "out.mp4", "--opacity", "0"),
        )
    assert times_of(Path("out.mp4")) == [Fraction(n, 30) for n in range(FRAMES)]
    limited = pixels in ("yuv420p", "nv12")
    for number, grey in enumerate(greys_of(Path("out.mp4"))):
        expected = min(255, max(0, (level(number) - 16) * 255 / 219)) if limited else level(number)
        assert abs(grey - expected) <= 5


def test_half_a_raw_frame_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", open(0, closefd=False))  # noqa: SIM115
    with standard_input(bytes(1000)):
        run("-", "--raw", "64x48", status=2)
    assert "not one whole frame came; 64×48 in rgb24 takes 9216 bytes" in capsys.readouterr().err
    assert list(place.iterdir()) == []


def test_ctrl_c_while_a_pipe_is_silent_ends_the_command(place: Path) -> None:
    """The pipe stays open and nothing comes: the command must end all the same."""
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import cfcontra.runtime\n"
        "from cfcontra.serve.cli import segment\n"
        "from video_clips import GreyBackend\n"
        "cfcontra.runtime.open_backend = lambda *_, **__: GreyBackend()\n"
        "sys.exit(segment(sys.argv[1:]))\n"
    )
    clip = make_clip(place / "drive.ts", time_base=Fraction(1, 90000), rate=Fraction(25))
    process = subprocess.Popen(
        [sys.executable, "-c", program, "-", "--model", "m.onnx", "--output", "out.mp4"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(clip.read_bytes())
    process.stdin.flush()
    for _ in range(600):
        if list(place.glob(".out.mp4.part/*.mp4")) and process.poll() is None:
            break
        threading.Event().wait(0.1)
    threading.Event().wait(2)
    process.send_signal(2)
    assert process.wait(100) == 130
    assert process.stderr is not None
    process.stdin.close()
    process.stderr.close()
    left = {path.name for path in place.iterdir()} - {"drive.ts"}
    assert left <= {"out.mp4"}  # nothing else, even if the machine was too slow for one frame
    for name in left:
        assert 0 < len(times_of(Path(name))) <= FRAMES
