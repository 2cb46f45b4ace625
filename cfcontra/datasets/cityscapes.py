"""`cityscapes:PATH`: Cityscapes (Cordts et al. 2016) as its archives unpack.

`leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` with `gtFine/SPLIT/CITY/*_gtFine_labelIds.png`;
`split=train_extra` goes with `gtCoarse`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.images import read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES

# labels.py of cityscapesscripts: label id → train id; all others are void or not evaluated.
TRAIN_IDS = dict(
    zip(
        (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33),
        range(19),
        strict=True,
    )
)
_LABEL_IDS = range(34)  # and 255 (−1, licence plate) in 8 bits
_LABEL_SPACE = LABEL_SPACES["cityscapes19"].with_raw_ids(
    dict.fromkeys(_LABEL_IDS, IGNORE_INDEX) | TRAIN_IDS
)


def open_spec(request: Request) -> PairedDataset:
    """Open one split, sorted by city and name.

    Raises:
        InputError: a folder or a label is missing.
    """
    split = request.choice("split", ("train", "val", "test", "train_extra"))
    images = request.folder("leftImg8bit", split)
    kind = "gtCoarse" if split == "train_extra" else "gtFine"
    labels = Path(request.place) / kind / split
    frames = []
    for image in require_images(images, "*/*_leftImg8bit.png"):
        stem = image.name.removesuffix("_leftImg8bit.png")
        frames.append(Frame(image, labels / image.parent.name / f"{stem}_{kind}_labelIds.png"))
    return PairedDataset(frames, LABEL_SPACES["cityscapes19"], read_label_ids, request.labelled)


def read_label_ids(path: Path) -> NDArray[np.uint8]:
    """Read a picture of Cityscapes label ids as train ids."""
    return encode_label_ids(read_ids(path), str(path))


def encode_label_ids(ids: NDArray[np.uint8], where: str) -> NDArray[np.uint8]:
    """Label ids as train ids; an `InputError` for an id that Cityscapes does not have."""
    return _LABEL_SPACE.encode(ids, where)
