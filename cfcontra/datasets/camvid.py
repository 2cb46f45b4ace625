"""`camvid:PATH`: CamVid (Brostow et al. 2009), in its own form or the SegNet tutorial's.

Own form: `701_StillsRaw_full/*.png` with `LabeledApproved_full/*_L.png`, 32 classes by
colour, grouped to the 11 of SegNet (Badrinarayanan et al. 2017); `sequence=0001TP` takes one
drive. SegNet's form: `SPLIT/*.png` with `SPLITannot/*.png`, ids 0–10 and 11 unlabelled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.colors import encode_colors
from cfcontra.datasets.images import read_colors, read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES, Color

# Colours of the 32 classes, by the class of the 11 that each belongs to; void to none.
GROUPS: dict[str, tuple[Color, ...]] = {
    "sky": ((128, 128, 128),),
    "building": (
        (0, 128, 64),  # bridge
        (128, 0, 0),  # building
        (64, 192, 0),  # wall
        (64, 0, 64),  # tunnel
        (192, 0, 128),  # archway
    ),
    "pole": ((192, 192, 128), (0, 0, 64)),  # column or pole, traffic cone
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),  # road, its markings
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),  # pavement, parking, shoulder
    "tree": ((128, 128, 0), (192, 192, 0)),  # tree, other vegetation
    "sign symbol": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),  # sign, text, traffic light
    "fence": ((64, 64, 128),),
    "car": (
        (64, 0, 128),  # car
        (64, 128, 192),  # SUV or pick-up
        (192, 128, 192),  # truck or bus
        (192, 64, 128),  # train
        (128, 64, 64),  # other moving
    ),
    "pedestrian": (
        (64, 64, 0),  # pedestrian
        (192, 128, 64),  # child
        (64, 0, 192),  # luggage or pram
        (64, 128, 64),  # animal
    ),
    "bicyclist": ((0, 128, 192), (192, 0, 192)),  # bicyclist, motorcycle or scooter
}
_SPACE = LABEL_SPACES["camvid11"]
_BY_COLOR = {color: _SPACE.classes.index(name) for name, group in GROUPS.items() for color in group}


def open_spec(request: Request) -> PairedDataset:
    """Open one split (SegNet's form) or all frames (own form).

    Raises:
        InputError: a folder or a label is missing, or an option of the other form.
    """
    root = request.folder()
    if (root / "701_StillsRaw_full").is_dir():
        return _open_full(request)
    split = request.choice("split", ("train", "val", "test"))
    labels = root / f"{split}annot"
    frames = [Frame(path, labels / path.name) for path in require_images(request.folder(split))]
    return PairedDataset(frames, _SPACE, _read_ids, request.labelled)


def _open_full(request: Request) -> PairedDataset:
    images = request.folder("701_StillsRaw_full")
    labels = Path(request.place) / "LabeledApproved_full"
    sequence = request.text("sequence", "")
    frames = [
        Frame(path, labels / f"{path.stem}_L.png")
        for path in require_images(images)
        if path.stem.startswith(sequence)
    ]
    if not frames:
        raise InputError(f"{images}: no picture of a sequence '{sequence}'.")
    return PairedDataset(frames, _SPACE, _read_colors, request.labelled)


def _read_ids(path: Path) -> NDArray[np.uint8]:
    return _SPACE.encode(read_ids(path), str(path))


def _read_colors(path: Path) -> NDArray[np.uint8]:
    return encode_colors(read_colors(path), _SPACE, _BY_COLOR)
