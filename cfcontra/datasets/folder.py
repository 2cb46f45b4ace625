"""`folder:PATH`: pictures in `images/` and, where labelled, id maps in `labels/`.

`PATH/images/NAME.jpg` goes with `PATH/labels/NAME.png`, a single-channel picture of ids.
A `PATH/label_space.yaml` states the labels' space; otherwise it is the one asked for.
Without labels, the pictures may also lie in `PATH` itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.config import read_yaml
from cfcontra.datasets.base import SegmentationDataset
from cfcontra.datasets.images import read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError, UnlabelledError
from cfcontra.label_space import LabelSpace

LABEL_SPACE_FILE = "label_space.yaml"


def open_spec(request: Request) -> SegmentationDataset:
    """Open the folder, its pictures sorted by name.

    Raises:
        InputError: missing or empty folder, or (labelled) a picture without a label.
    """
    return open_folder(request.folder(), request.space(), request.labelled)


def open_folder(root: Path, label_space: LabelSpace, labelled: bool) -> PairedDataset:
    """Open a folder whose labels are in `label_space` unless it states its own."""
    images, labels = root / "images", root / "labels"
    if not images.is_dir():
        if labelled:
            wrong = InputError if labels.is_dir() else UnlabelledError
            raise wrong(f"{root}: has no images/ folder (pictures) beside labels/ (ids).")
        images = root
    frames = [Frame(path, labels / f"{path.stem}.png") for path in require_images(images)]
    if labelled and not labels.is_dir():
        raise UnlabelledError(
            f"{labels}: no such folder, but labels are needed here. "
            "Put an id map NAME.png there for every picture."
        )
    space = _stated_label_space(root) or label_space

    def read(path: Path) -> NDArray[np.uint8]:
        return space.encode(read_ids(path), str(path))

    return PairedDataset(frames, space, read, labelled)


def _stated_label_space(root: Path) -> LabelSpace | None:
    path = root / LABEL_SPACE_FILE
    return LabelSpace.from_dict(read_yaml(path), str(path)) if path.exists() else None
