"""Small data and models that tests make for themselves."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
import yaml

from cfcontra.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(2)
    cv2.setNumThreads(2)


@pytest.fixture(autouse=True)
def _logging_stays_as_found() -> Iterator[None]:
    """A command sets logging up for its process; the next test starts without."""
    names = ("cfcontra", "cfcontra.serve", "cfcontra.serve.requests")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.propagate, logger.level, [*logger.handlers]) for logger in loggers]
    yield
    for logger, found in zip(loggers, before, strict=True):
        logger.propagate, logger.level, logger.handlers = found


_opened: list[str] = []
sys.addaudithook(lambda event, args: _opened.append(str(args[0])) if event == "open" else None)


@pytest.fixture
def opened_files() -> list[str]:
    """Every file that Python opens from here on, in whatever way."""
    _opened.clear()
    return _opened


@pytest.fixture(scope="session")
def make_folder() -> Callable[..., Path]:
    """Write a `folder:` data set of blocky frames in a label space."""

    def make(
        root: Path,
        frames: int = 3,
        size: tuple[int, int] = (40, 60),
        space: str = "camvid11",
        labelled: bool = True,
        seed: int = 0,
    ) -> Path:
        rng = np.random.default_rng(seed)
        label_space = LABEL_SPACES[space]
        (root / "images").mkdir(parents=True)
        if labelled:
            (root / "labels").mkdir()
        for number in range(frames):
            blocks = rng.integers(label_space.num_classes, size=(4, 6), dtype=np.uint8)
            label = cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_NEAREST)
            image = label_space.palette()[label]
            cv2.imwrite(str(root / "images" / f"{number:03d}.png"), image[..., ::-1])
            if labelled:
                cv2.imwrite(str(root / "labels" / f"{number:03d}.png"), label)
        return root

    return make


@pytest.fixture
def make_place(
    tmp_path: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """A working folder with `day` and `dusk` data and a recipe, `small.yaml`."""

    def make(recipe: dict[str, Any], dusk_frames: int = 3) -> Path:
        monkeypatch.chdir(tmp_path)
        make_folder(tmp_path / "day", frames=4)
        make_folder(tmp_path / "dusk", frames=dusk_frames, seed=5)
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(recipe))
        return tmp_path

    return make


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `model.pt` of the light network with random but decided weights."""
    torch.manual_seed(0)
    space = LABEL_SPACES["camvid11"]
    model = build_model("light", space.num_classes)
    torch.nn.init.normal_(model.head.weight, std=1.0)  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp("model") / "model.pt"
    metadata = ModelMetadata(space, Preprocessing((64, 96)), model.config())
    save_checkpoint(path, Checkpoint(model, metadata).model, metadata)
    return path


@pytest.fixture(scope="session")
def network(model_file: Path) -> onnx.ModelProto:
    """The network's part of what `model_file` is exported to, built once."""
    from cfcontra.export.onnx_file import export_network

    return export_network(load_checkpoint(model_file).model, (64, 96))
