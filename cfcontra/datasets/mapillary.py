"""`mapillary:PATH`: Mapillary Vistas (Neuhold et al. 2017), version 1.2 or 2.0.

`{training,validation}/images/*.jpg` with `{training,validation}/[VERSION/]labels/*.png`,
palette pictures of ids that `config_VERSION.json` (or `config.json`) names. Classes are
taken together to Cityscapes' 19 as domain generalisation does.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.images import read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES

# Name in the configuration, or its beginning up to a `--` → class; all others are ignored.
CLASSES = {
    "construction--flat--road": "road",
    "marking--general": "road",
    "marking--discrete": "road",
    "marking--continuous": "road",
    "object--manhole": "road",
    "construction--flat--sidewalk": "sidewalk",
    "construction--barrier--curb": "sidewalk",
    "construction--structure--building": "building",
    "construction--barrier--wall": "wall",
    "construction--barrier--fence": "fence",
    "object--support--pole": "pole",
    "object--support--utility-pole": "pole",
    "object--traffic-light": "traffic light",
    "object--traffic-sign--front": "traffic sign",
    "nature--vegetation": "vegetation",
    "nature--terrain": "terrain",
    "nature--sky": "sky",
    "human--person": "person",
    "human--rider": "rider",
    "object--vehicle--car": "car",
    "object--vehicle--truck": "truck",
    "object--vehicle--bus": "bus",
    "object--vehicle--on-rails": "train",
    "object--vehicle--motorcycle": "motorcycle",
    "object--vehicle--bicycle": "bicycle",
}
_FOLDERS = {"train": "training", "val": "validation", "test": "testing"}


def open_spec(request: Request) -> PairedDataset:
    """Open one split; `version=v2.0` reads those labels.

    Raises:
        InputError: a folder, a label or the configuration is missing.
    """
    split = request.choice("split", ("train", "val", "test"))
    version = request.choice("version", ("v1.2", "v2.0"))
    images = require_images(request.folder(_FOLDERS[split], "images"))
    base = Path(request.place) / _FOLDERS[split]
    labels = base / version / "labels"
    if not labels.is_dir() and version == "v1.2":
        labels = base / "labels"
    frames = [Frame(image, labels / f"{image.stem}.png") for image in images]
    space = LABEL_SPACES["cityscapes19"]
    if request.labelled and labels.is_dir():
        space = space.with_raw_ids(_raw_ids(Path(request.place), version))

    def read(path: Path) -> NDArray[np.uint8]:
        return space.encode(read_ids(path), str(path))

    return PairedDataset(frames, LABEL_SPACES["cityscapes19"], read, request.labelled)


def _raw_ids(root: Path, version: str) -> dict[int, int]:
    path = root / f"config_{version}.json"
    if not path.is_file() and version == "v1.2":
        path = root / "config.json"
    try:
        entries: list[Any] = json.loads(path.read_text(encoding="utf-8"))["labels"]
        names = [str(entry["name"]) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: cannot be read. It names the labels' ids and comes with the data set."
        ) from error
    return {raw: _train_id(name) for raw, name in enumerate(names)}


def _train_id(name: str) -> int:
    parts = name.split("--")
    for length in range(len(parts), 0, -1):
        found = CLASSES.get("--".join(parts[:length]))
        if found is not None:
            return LABEL_SPACES["cityscapes19"].classes.index(found)
    return IGNORE_INDEX
