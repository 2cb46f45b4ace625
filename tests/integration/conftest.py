"""Exports by command, for several files of tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from cfcontra.export import exporter
from cfcontra.export.cli import main


@pytest.fixture(scope="module")
def frames(make_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("frames") / "day", frames=3, size=(60, 110))


@pytest.fixture
def network_once(network: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's part of `model_file`'s export, which takes seconds, is built only once."""
    monkeypatch.setattr(exporter, "export_network", lambda *given: network)


@pytest.fixture
def export(
    model_file: Path, frames: Path, network_once: None, tmp_path: Path
) -> Callable[..., int]:
    """Run the command into `tmp_path/out.onnx`."""

    def run(*more: str, model: Path = model_file, certify: str = f"folder:{frames}") -> int:
        output = ("--output", str(tmp_path / "out.onnx"))
        return main([str(model), *output, "--certify", certify, "--threads", "1", *more])

    return run
