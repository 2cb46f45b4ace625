"""Pictures taken in, and the command, without a browser."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.serve.cli import demo
from cfcontra.serve.web.models import name_models, short_names
from cfcontra.serve.web.server import claim_port

SPACE = LABEL_SPACES["camvid11"]


# Pictures


@pytest.fixture
def read() -> Callable[[Path], NDArray[np.uint8]]:
    from cfcontra.serve.web.decoding import read_picture

    return read_picture


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "I;16", "1"])
def test_pictures_of_any_mode_become_rgb(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]], mode: str
) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    Image.new(mode, (30, 20)).save(path)
    picture = read(path)
    assert picture.shape == (20, 30, 3)
    assert picture.dtype == np.uint8


def test_a_picture_is_turned_upright(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg").shape == (30, 20, 3)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\xff\xd8\xff\xe0" + b"x" * 300,
        b"<svg></svg>",
        b"\x89PNG\r\n\x1a\n" + b"0" * 99,
    ],
    ids=["empty", "text", "jpeg head", "svg", "png head"],
)
def test_what_is_no_picture_is_refused(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]], data: bytes
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a picture that can be read"):
        read(path)


def test_a_truncated_picture_is_refused(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match="damaged"):
        read(path)


@pytest.mark.parametrize("side", [6500, 10_000, 14_000])
def test_huge_pictures_are_refused_before_they_are_decoded(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]], side: int
) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (side, side)).save(path)
    with pytest.raises(InputError, match="more than 40 megapixels"):
        read(path)


@pytest.mark.parametrize(("most", "bits"), [(1023, 10), (65_535, 16)])
def test_a_deep_pgm_keeps_its_upper_bits(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]], most: int, bits: int
) -> None:
    values = np.random.default_rng(0).integers(0, most + 1, (20, 30), dtype=np.uint16)
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5 30 20 %d\n" % most + values.astype(">u2").tobytes())
    picture = read(path).astype(int)
    assert picture.shape == (20, 30, 3)
    assert np.abs(picture - (values.astype(int) >> (bits - 8))[..., None]).max() <= (bits < 16)


def test_pictures_of_32_bits_are_refused(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]]
) -> None:
    for mode in ("I", "F"):
        path = tmp_path / f"{mode}.tiff"
        Image.new(mode, (30, 20)).save(path)
        with pytest.raises(InputError, match="32-bit"):
            read(path)
    path = tmp_path / "a.pfm"
    path.write_bytes(b"Pf\n30 20\n-1.0\n" + bytes(4 * 600))
    with pytest.raises(InputError, match="32-bit"):
        read(path)


# Command


def test_without_a_model_there_is_a_stand_in_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cfcontra.runtime import open_backend
    from cfcontra.serve.web import stand_in

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stand_in, "_STEPS", 2)
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that it ends before it serves
        port = str(taken.getsockname()[1])
        assert demo(["--port", port]) == 2
        assert "No model given: this is a stand-in" in " ".join(capsys.readouterr().err.split())
        file = stand_in.stand_in_file()
        made = file.stat().st_mtime_ns
        assert demo(["--port", port]) == 2
        assert file.stat().st_mtime_ns == made
    backend = open_backend(file)
    assert backend.metadata.training["method"] == "stand-in"
    assert backend.predict(np.zeros((1, 40, 60, 3), np.uint8)).mask.shape == (1, 40, 60)


def test_the_quickstarts_model_comes_before_the_stand_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/quickstart").mkdir(parents=True)
    (tmp_path / "runs/quickstart/model.onnx").write_bytes(b"not one")
    assert demo(["--port", "0"]) == 2
    assert "model.onnx" in capsys.readouterr().err


def test_a_taken_port_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo(["model.onnx", "--port", str(port)]) == 2
    message = capsys.readouterr().err
    assert (
        message == f"error: Port {port} is taken by another program. Choose another with --port.\n"
    )


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
def test_quiet_silences_the_terminal_and_not_the_log_that_was_asked_for(
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quiet: list[str],
) -> None:
    def serve(*_: object) -> None:
        logging.getLogger("cfcontra.serve.requests").info("request")

    monkeypatch.setattr("cfcontra.serve.web.server.serve", serve)
    log = tmp_path / "log.jsonl"
    given = [str(model_file), "--port", "0", "--device", "cpu", "--threads", "1", *quiet]
    assert demo([*given, "--log", str(log)]) == 0
    assert json.loads(log.read_text())["event"] == "request"
    assert capsys.readouterr().err == ""
    assert demo([*given, "--log", "-"]) == 0
    assert json.loads(capsys.readouterr().err)["event"] == "request"
    assert demo(given) == 0  # by default, standard error has the lines where it is no terminal
    assert ("request" in capsys.readouterr().err) == (not quiet)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert demo(given) == 0
    assert "request" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("no.such.host.invalid", 0, "--host no.such.host.invalid: not an address"),
        ("192.0.2.1", 0, "--host 192.0.2.1: cannot be bound"),
        ("127.0.0.1", 70_000, "--port 70000"),
    ],
)
def test_addresses_that_cannot_be_bound_are_refused(host: str, port: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        claim_port(host, port)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/srv/a/model.onnx"], ["model.onnx"]),
        (["/srv/a/model.onnx", "/srv/b/model.onnx"], ["a/model.onnx", "b/model.onnx"]),
        (["/srv/a/model.onnx", "other.onnx"], ["model.onnx", "other.onnx"]),
        (["/a/x.onnx", "/b/a/x.onnx"], ["/a/x.onnx", "b/a/x.onnx"]),
    ],
)
def test_models_are_named_without_their_folders(paths: list[str], names: list[str]) -> None:
    assert short_names([Path(path) for path in paths]) == names


def test_models_are_named_by_the_command_line(tmp_path: Path) -> None:
    odd = tmp_path / "a=b.onnx"
    odd.touch()
    assert name_models(["day=/srv/x.onnx", "/srv/y.onnx", str(odd)]) == {
        "day": Path("/srv/x.onnx"),
        "y.onnx": Path("/srv/y.onnx"),
        "a=b.onnx": odd,
    }
    with pytest.raises(InputError, match="Two models are called day"):
        name_models(["day=a.onnx", "day=b.onnx"])
    with pytest.raises(InputError, match=r"Two models are called m\.onnx"):
        name_models(["m.onnx=a.onnx", "m.onnx"])
    with pytest.raises(InputError, match="NAME=FILE"):
        name_models(["=a.onnx"])


def test_more_pixels_than_can_be_read_are_no_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(["model.onnx", "--max-megapixels", "179"]) == 2
    assert "up to 178 can be read" in capsys.readouterr().err
