"""Every kind of result, held against the masks that the backend gave."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from video_clips import FRAMES, SPACE, GreyBackend, image, level, make_clip, times_of

import cfcontra.runtime
from cfcontra.rle import decode_masks
from cfcontra.runtime import Prediction
from cfcontra.serve.cli import segment

pytestmark = pytest.mark.timeout(120)


class Halves(GreyBackend):
    """The left half has class `frame mod 11`, the right half class 3; gives frame scores."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        self.batches.append(len(frames))
        mask = np.full(frames.shape[:3], 3, np.uint8)
        for one in mask:
            one[:, : one.shape[1] // 2] = self.asked % 11
            self.asked += 1
        scores = np.array([[0.9, np.nan, self.asked / 8]] * len(frames), np.float32)
        return Prediction(mask, np.full_like(mask, 204), scores)


def expected(number: int, size: tuple[int, int] = (64, 48)) -> NDArray[np.uint8]:
    mask = np.full(size[::-1], 3, np.uint8)
    mask[:, : size[0] // 2] = number % 11
    return mask


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Halves:
    backend = Halves()
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: backend)
    return backend


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_clip(tmp_path / "drive.mp4", audio="aac")


def run(*arguments: str | Path) -> None:
    assert segment([*map(str, arguments), "--model", "m.onnx", "--threads", "1"]) == 0


def test_all_kinds_at_once(drive: Path, backend: Halves, tmp_path: Path) -> None:
    run(drive, "--write", "overlay,side-by-side,mask,png,jsonl", "--output", "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [
        "drive-mask.mp4",
        "drive-masks",
        "drive-masks.jsonl",
        "drive-segmented.mp4",
        "drive-side-by-side.mp4",
    ]
    assert backend.asked == FRAMES
    for name in names:
        if name.endswith(".mp4"):
            assert times_of(tmp_path / "out" / name) == times_of(drive)
            with av.open(str(tmp_path / "out" / name)) as container:
                assert container.streams.audio


def test_masks_as_pictures_hold_ids_and_colours(drive: Path, backend: Halves) -> None:
    run(drive, "--write", "png")
    paths = sorted(Path("drive-masks").iterdir())
    assert [path.name for path in paths] == [f"{n:06d}.png" for n in range(FRAMES)]
    for number, path in enumerate(paths):
        picture = Image.open(path)
        assert np.array_equal(np.asarray(picture), expected(number))
        palette = np.array(picture.getpalette()).reshape(-1, 3)
        assert np.array_equal(palette, SPACE.palette()[: len(palette)])


def test_json_lines_hold_the_masks(drive: Path, backend: Halves) -> None:
    run(drive, "--write", "jsonl")
    first, *lines = map(json.loads, Path("drive-masks.jsonl").read_text().splitlines())
    assert first["type"] == "video"
    assert first["classes"] == list(SPACE.classes)
    assert (first["size"], first["rate"], first["every"]) == ([48, 64], "30000/1001", 1)
    assert [line["time"] for line in lines] == [round(float(t), 6) for t in times_of(drive)]
    for number, line in enumerate(lines):
        assert (line["frame"], line["carried"], line["confidence"]) == (number, False, 0.8)
        assert line["scores"] == {
            "confidence": 0.9,
            "entropy": None,
            "distance": (number + 1) / 8,
        }
        assert np.array_equal(decode_masks(line["classes"]), expected(number))
        assert sum(entry["area"] for entry in line["classes"]) == 64 * 48
        assert sum(entry["share"] for entry in line["classes"]) == pytest.approx(1)


def colors_of(path: Path, column: slice) -> list[NDArray[np.float64]]:
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24")[4:-4, column].reshape(-1, 3).mean(axis=0)
            for frame in container.decode(video=0)
        ]


def test_the_mask_video_is_the_colours_alone(drive: Path, backend: Halves) -> None:
    run(drive, "--write", "mask", "--output", "m.mp4")
    for number, color in enumerate(colors_of(Path("m.mp4"), slice(4, 28))):
        assert np.abs(color - SPACE.colors[number % 11]).max() < 14, number


def test_side_by_side_has_the_frame_on_the_left(drive: Path, backend: Halves) -> None:
    run(drive, "--write", "side-by-side", "--output", "s.mp4", "--opacity", "1")
    with av.open("s.mp4") as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (128, 48)
    frames, masks = colors_of(Path("s.mp4"), slice(4, 60)), colors_of(Path("s.mp4"), slice(68, 92))
    for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
        assert np.abs(frame - level(number)).max() < 8
        assert np.abs(mask - SPACE.colors[number % 11]).max() < 14, number


def test_side_by_side_of_an_odd_size(tmp_path: Path, backend: Halves) -> None:
    source = make_clip(tmp_path / "odd.mkv", size=(63, 47), codec="ffv1")
    run(source, "--write", "side-by-side", "--output", tmp_path / "s.mp4", "--opacity", "0")
    with av.open(str(tmp_path / "s.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    assert frame.shape == (48, 128)
    assert np.abs(frame[:, :64] - frame[:, 64:]).max() <= 3


@pytest.mark.parametrize(
    ("codec", "tag"), [("libx265", "hvc1"), ("libsvtav1", "av01"), ("libvpx-vp9", "vp09")]
)
def test_other_codecs_say_nothing_and_are_called_what_players_look_for(
    drive: Path, backend: Halves, capfd: pytest.CaptureFixture[str], codec: str, tag: str
) -> None:
    run(drive, "--codec", codec, "--output", "o.mp4")
    with av.open("o.mp4") as container:
        assert container.streams.video[0].codec_context.codec_tag == tag
        assert container.streams.audio
    assert times_of(Path("o.mp4")) == times_of(drive)
    captured = capfd.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1


@pytest.mark.parametrize("batch", [1, 4])
def test_every_third_frame_is_asked_about(drive: Path, backend: Halves, batch: int) -> None:
    run(drive, "--write", "jsonl,overlay", "--output", "out", "--every", "3", "--batch", batch)
    first, *lines = map(json.loads, Path("out/drive-masks.jsonl").read_text().splitlines())
    assert first["every"] == 3
    assert backend.asked == FRAMES // 3
    assert [line["carried"] for line in lines] == [number % 3 != 0 for number in range(FRAMES)]
    for number, line in enumerate(lines):
        assert np.array_equal(decode_masks(line["classes"]), expected(number // 3))
    assert times_of(Path("out/drive-segmented.mp4")) == times_of(drive)


@pytest.mark.parametrize("pixels", ["rgb24", "yuv420p"])
def test_raw_frames_to_standard_output(
    tmp_path: Path, backend: Halves, capfdbinary: pytest.CaptureFixture[bytes], pixels: str
) -> None:
    source = make_clip(tmp_path / "odd.mkv", size=(63, 47), codec="ffv1", rate=Fraction(25))
    run(source, "--output", "-", "--pixels", pixels, "--opacity", "0")
    captured = capfdbinary.readouterr()
    size = 63 * 47 * 3 if pixels == "rgb24" else 63 * 47 + 2 * 32 * 24
    assert len(captured.out) == FRAMES * size
    assert b"63" in captured.err
    if pixels == "rgb24":
        frames = np.frombuffer(captured.out, np.uint8).reshape(FRAMES, 47, 63, 3)
        for number, frame in enumerate(frames):
            assert np.abs(frame - image(number, (63, 47)).astype(int)).max() <= 4


def test_json_lines_to_standard_output(
    drive: Path, backend: Halves, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    run(drive, "--output", "-", "--write", "jsonl")
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["video", *["frame"] * FRAMES]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--write", "overlays"], "Did you mean 'overlay'"),
        (["--write", ","], "name at least one of"),
        (["--write", "mask,png", "--output", "x.mp4"], "mask and png need a folder"),
        (["--write", "jsonl", "--output", "x.mp4"], "let its name end in .jsonl"),
        (["--write", "png", "--output", "-"], "need a folder"),
        (["--write", "mask,jsonl", "--output", "-"], "takes one kind"),
        (["--every", "0"], "--every 0: give 1 or more"),
        (["--rate", "0"], "--rate 0: give frames per second"),
        (["--rate", "1e-9"], "--rate 1e-9: give frames per second"),
        (["--rate", "0.0001"], "--rate 0.0001: give frames per second"),
        (["--rate", "1/0"], "--rate 1/0: give frames per second"),
        (["--rate", "nan"], "--rate nan: give frames per second"),
        (["--rate", "30"], "--rate: is about raw frames and folders of pictures"),
        (["--rate", "30", "--output", "-"], "--rate: is about raw frames and folders of"),
        (["--pixels", "gray"], "--pixels: is about raw frames"),
        (["--pixels", "gray", "--output", "-", "--write", "jsonl"], "--pixels: is about raw"),
        (["--duration", "inf"], "--duration inf: give seconds above 0"),
        (["--duration", "1e300"], "--duration 1e+300: give seconds above 0"),
        (["--duration", "nan"], "--duration nan: give seconds above 0"),
        (["--duration", "-1"], "--duration -1.0: give seconds above 0"),
        (["--hwaccel", "nonsense"], "--hwaccel nonsense: unknown here. There are "),
        (["--hwaccel", "nonsense", "http://127.0.0.1:1/x"], "--hwaccel nonsense: unknown here"),
        (["--hwaccel", "cuda", "--raw", "64x48", "-"], "not raw frames"),
        (["--hwaccel", "cuda", "7"], "videos and streams, not what camera 7 gives"),
        (["--raw", "64x48"], "--raw: is about standard input"),
        (["--raw", "64", "-"], "--raw 64: give width and height"),
        (["--resume", "--overwrite"], "choose"),
        (["--resume", "-"], "standard input cannot be read again"),
    ],
)
def test_what_does_not_fit_is_refused(
    drive: Path,
    backend: Halves,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert segment([str(drive), "--model", "m.onnx", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().iterdir()) == [Path("drive.mp4")]


def test_an_existing_folder_of_masks_is_replaced_only_when_asked(
    drive: Path, backend: Halves, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("drive-masks").mkdir()
    Path("drive-masks/old.png").touch()
    arguments = [str(drive), "--model", "m.onnx", "--write", "png"]
    assert segment(arguments) == 2
    assert "drive-masks: exists already" in capsys.readouterr().err
    assert segment([*arguments, "--overwrite"]) == 0
    assert len(list(Path("drive-masks").iterdir())) == FRAMES
    assert not Path("drive-masks/old.png").exists()
    assert sorted(path.name for path in Path().iterdir()) == ["drive-masks", "drive.mp4"]
