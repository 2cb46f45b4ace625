"""`gta5:PATH`: GTA5, Playing for Data (Richter et al. 2016), as its archives unpack.

`images/*.png` with `labels/*.png`: palette pictures of Cityscapes label ids. Pictures of
plain ids and of colours are read as well. A few frames of the release have a picture and
a label of different sizes: they are left out, and named.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.cityscapes import encode_label_ids
from cfcontra.datasets.colors import encode_colors
from cfcontra.datasets.images import has_ids, picture_size, read_colors, read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES

_LOG = logging.getLogger(__name__)
_LICENCE_PLATE = 34  # stands behind the last of Cityscapes' ids here
_SPLIT_FILE = "split.mat"


def open_spec(request: Request) -> PairedDataset:
    """Open all frames, or those of one split of the authors' `split.mat`.

    Raises:
        InputError: a folder, a label or the split file is missing.
    """
    split = request.choice("split", ("all", "train", "val", "test"))
    images = require_images(request.folder("images"))
    if split != "all":
        chosen = _split_numbers(Path(request.place) / _SPLIT_FILE, split)
        images = [image for image in images if image.stem.isdigit() and int(image.stem) in chosen]
        if not images:
            raise InputError(f"{request.spec}: no picture belongs to split '{split}'.")
    labels = Path(request.place) / "labels"
    frames = [Frame(image, labels / f"{image.stem}.png") for image in images]
    if request.labelled:
        frames = _without_broken(frames)
    return PairedDataset(frames, LABEL_SPACES["cityscapes19"], _read, request.labelled)


def _split_numbers(path: Path, split: str) -> set[int]:
    try:
        from scipy.io import loadmat  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: reading it needs scipy. Install it with: pip install scipy"
        ) from error
    try:
        return {int(number) for number in loadmat(str(path))[f"{split}Ids"].ravel()}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read. It comes with the data set's reading code; split=all needs "
            "none."
        ) from error


def _without_broken(frames: list[Frame]) -> list[Frame]:
    broken = [
        frame
        for frame in frames
        if frame.label.is_file() and picture_size(frame.image) != picture_size(frame.label)
    ]
    if broken:
        names = ", ".join(frame.image.name for frame in broken[:8])
        _LOG.warning("left out, picture and label differ in size: %s", names)
    if len(broken) == len(frames):
        raise InputError(f"{frames[0].label}: no label has its picture's size.")
    return [frame for frame in frames if frame not in broken]


def _read(path: Path) -> NDArray[np.uint8]:
    if not has_ids(path):
        return encode_colors(read_colors(path), LABEL_SPACES["cityscapes19"])
    ids = read_ids(path)
    ids[ids == _LICENCE_PLATE] = IGNORE_INDEX
    return encode_label_ids(ids, str(path))
