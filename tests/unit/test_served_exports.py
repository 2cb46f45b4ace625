"""Exported files of odd interfaces behind page, REST and jobs: served as they run by themselves."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image
from serving import Server, noise, png, running

from cfcontra.export import exporter
from cfcontra.export.exporter import export_model
from cfcontra.interface import Interface
from cfcontra.rle import decode_masks
from cfcontra.runtime import Backend, open_backend
from cfcontra.serve.video import segment_video, write_video
from cfcontra.serve.web import models
from cfcontra.serve.web.models import open_model
from cfcontra.serve.web.page.picture import PictureTab


@pytest.fixture(scope="module")
def half(
    model_file: Path, network: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file that gives masks at half the frame's size."""
    path = tmp_path_factory.mktemp("half") / "half.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "export_network", lambda *_: network)
        export_model(model_file, path, threads=1, interface=Interface(mask_stride=2))
    return path


@pytest.fixture(scope="module", params=[1, 2], ids=["one run", "two at a time"])
def server(
    request: pytest.FixtureRequest, half: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    model = open_model("half", half, device="cpu", threads=request.param)
    with running(tmp_path_factory.mktemp("server"), models=[model]) as made:
        yield made


@pytest.fixture(scope="module")
def backend(half: Path) -> Backend:
    return open_backend(half, "cpu", 1)


def test_a_picture_gets_its_own_size_once(server: Server, backend: Backend, tmp_path: Path) -> None:
    image = noise(75, 107)
    expected = backend.predict(image[None]).mask[0]
    got = server.client.post("/v1/segment?output=mask", content=png(image))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(got.content))), expected)
    (tmp_path / "a.png").write_bytes(png(image))
    _, html = PictureTab(server.state).segment(str(tmp_path / "a.png"), 0, "half")
    link = re.search(r'download="a.json" href="data:application/json;base64,([^"]*)"', html)
    assert link
    said = json.loads(b64decode(link[1]))
    entries: list[Any] = [
        {"id": entry["id"], "class": entry["name"], "area": entry["pixels"], **entry["rle"]}
        for entry in said["classes"]
        if entry["rle"]
    ]
    assert np.array_equal(decode_masks(entries), expected)


def test_a_video_gets_its_own_size_once(server: Server, backend: Backend, tmp_path: Path) -> None:
    write_video((noise(76, 108, seed) for seed in range(5)), tmp_path / "a.mp4", Fraction(10))

    def masks(model: Backend, name: str) -> NDArray[np.uint8]:
        seen: list[NDArray[np.uint8]] = []
        watch = [lambda result: seen.append(result.mask.copy())]
        segment_video(tmp_path / "a.mp4", tmp_path / name, model, observers=watch)
        return np.stack(seen)

    expected = masks(backend, "expected.mp4")
    assert expected.shape == (5, 76, 108)
    assert np.array_equal(masks(server.state.models["half"], "found.mp4"), expected)


def test_a_gpu_holds_a_model_once(half: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Backend] = []

    def on_gpu(*given: object, **options: object) -> Backend:
        backend = open_backend(half, "cpu", 1)
        backend.device, backend.streams = "cuda:0", 2  # as every runtime there has it
        opened.append(backend)
        return backend

    monkeypatch.setattr(models, "open_backend", on_gpu)
    model = open_model("half", half)
    try:
        assert len(opened) == 1 and model.streams == 2
        frames = noise(75, 107)[None]
        waiting = [model.submit(frames, alone=alone) for alone in (True, False, True, False)]
        expected = opened[0].predict(frames).mask
        assert all(np.array_equal(one.result(60).mask, expected) for one in waiting)
    finally:
        model.batcher.close()
