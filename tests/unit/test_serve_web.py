"""The demo page's parts, without a browser."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.cli import demo
from cfcontra.serve.web.card import card_html
from cfcontra.serve.web.legend import class_shares, legend_html, palette_html
from cfcontra.serve.web.models import Models, ServedModel, short_names
from cfcontra.serve.web.scratch import Scratch
from cfcontra.serve.web.server import claim_port
from cfcontra.serve.web.settings import Settings
from cfcontra.serve.web.state import ServerState

SPACE = LABEL_SPACES["camvid11"]


class HalvesBackend(Backend):
    """Says sky above and road below."""

    def __init__(self, training: dict[str, object] | None = None) -> None:
        self.metadata = ModelMetadata(
            SPACE, Preprocessing((288, 512)), {"name": "light"}, dict(training or {})
        )
        self.device, self.runtime = "cpu", "test 1"
        self.runs = 0

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        self.runs += 1
        mask = np.zeros(frames.shape[:3], np.uint8)
        mask[:, frames.shape[1] // 2 :] = SPACE.classes.index("road")
        return Prediction(mask, np.where(mask == 0, 255, 51).astype(np.uint8))


# Legend and card


def test_shares_and_confidence_are_counted() -> None:
    shares = class_shares(HalvesBackend().predict(np.zeros((1, 40, 30, 3), np.uint8)), SPACE)
    assert [share.name for share in shares[:2]] == ["sky", "road"]
    assert [share.area for share in shares[:2]] == [0.5, 0.5]
    assert [share.confidence for share in shares[:2]] == pytest.approx([1.0, 0.2])
    assert sum(share.area for share in shares) == 1.0
    assert len(shares) == SPACE.num_classes


def test_the_legend_tells_seen_from_unseen() -> None:
    shares = class_shares(HalvesBackend().predict(np.zeros((1, 40, 30, 3), np.uint8)), SPACE)
    seen, _, unseen = legend_html(shares).partition("not seen:")
    assert "sky" in seen
    assert "50.0 %" in seen
    assert "20.0 %" in seen
    assert "rgb(128, 64, 128)" in seen
    assert "bicyclist" in unseen
    assert "not seen" not in palette_html(SPACE)


def test_the_card_shows_the_record_and_trusts_none_of_it() -> None:
    training = {
        "method": "<b>cfcontra</b>",
        "steps": 300,
        "target": "video:x",
        "val": {"miou": 0.4567, "data": "folder:v"},
    }
    card = card_html(Path("deep/in/model.onnx"), HalvesBackend(training))
    for text in ("model.onnx", "512×288", "11 (camvid11)", "45.7 mIoU on folder:v", "video:x"):
        assert text in card
    assert "<b>cfcontra" not in card
    assert "deep/in" not in card
    odd = card_html(Path("m.pt"), HalvesBackend({"val": {"miou": "high"}, "method": 3}))
    assert "mIoU" not in odd


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


# Actions


@pytest.fixture
def street(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.new("RGB", (2400, 1200), (90, 90, 90)).save(path)
    return path


def test_the_opacity_blends_again_without_the_model(street: Path) -> None:
    from cfcontra.serve.web.page import Demo

    backend = HalvesBackend()
    actions = Demo({"m": backend})
    _, kept, (before, after), legend = actions.segment(str(street), "m", 0.5)
    assert before.shape == after.shape == (800, 1600, 3)
    assert np.array_equal(after[0, 0], [109, 109, 109])
    assert "50.0 %" in legend
    _, opaque = actions.blend(kept, 1.0)
    assert np.array_equal(opaque[0, 0], SPACE.colors[0])
    assert np.array_equal(opaque[-1, 0], SPACE.colors[SPACE.classes.index("road")])
    assert backend.runs == 1
    assert actions.blend(None, 0.3) is None


def test_no_picture_gives_the_palette() -> None:
    from cfcontra.serve.web.page import Demo

    _, kept, slider, legend = Demo({"m": HalvesBackend()}).segment(None, "m", 0.5)
    assert kept is None
    assert slider is None
    assert "not seen" not in legend


def test_the_page_asks_no_other_host_and_writes_no_file_into_the_package(tmp_path: Path) -> None:
    import cfcontra.serve.web as package
    from cfcontra.serve.web.app import build_app
    from cfcontra.serve.web.theme import theme

    models = Models([ServedModel(name, Path(name), HalvesBackend()) for name in ("m", "n")])
    state = ServerState.open(models, Settings(), Scratch(tmp_path / "private"))
    build_app(state)
    state.close()
    assert theme()._stylesheets == []
    assert not list(Path(package.__path__[0]).glob("*.pyi"))


# Command


def test_without_a_model_the_demo_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert demo([]) == 2
    assert "Run cfcontra-quickstart first, or name a model" in capsys.readouterr().err


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
