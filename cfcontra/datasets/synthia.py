"""`synthia:PATH`: SYNTHIA-RAND-CITYSCAPES (Ros et al. 2016) as its archive unpacks.

`RGB/*.png` with `GT/LABELS/*.png`: 16-bit pictures of three channels, the class in the
first (red) one. Of its 22 classes the 16 that unsupervised adaptation uses are kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.images import read_bytes, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES
from cfcontra.opencv import cv2

# README of the data set: id → name, in the words of the label space.
CLASSES = {
    1: "sky",
    2: "building",
    3: "road",
    4: "sidewalk",
    5: "fence",
    6: "vegetation",
    7: "pole",
    8: "car",
    9: "traffic sign",
    10: "person",
    11: "bicycle",
    12: "motorcycle",
    15: "traffic light",
    17: "rider",
    19: "bus",
    21: "wall",
}
# The others: 0 void, 13 parking slot, 14 road work, 16 terrain, 18 truck, 20 train, 22 marking.
_IDS = range(23)
_SPACE = LABEL_SPACES["cityscapes16"].with_raw_ids(
    dict.fromkeys(_IDS, IGNORE_INDEX)
    | {raw: LABEL_SPACES["cityscapes16"].classes.index(name) for raw, name in CLASSES.items()}
)


def open_spec(request: Request) -> PairedDataset:
    """Open all frames, sorted by name.

    Raises:
        InputError: a folder or a label is missing.
    """
    labels = Path(request.place) / "GT" / "LABELS"
    frames = [Frame(image, labels / image.name) for image in require_images(request.folder("RGB"))]
    return PairedDataset(frames, LABEL_SPACES["cityscapes16"], _read, request.labelled)


def _read(path: Path) -> NDArray[np.uint8]:
    data = np.frombuffer(read_bytes(path), dtype=np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise InputError(f"{path}: not a readable label picture. Replace or remove the file.")
    if picture.ndim != 3 or picture.dtype != np.uint16:
        raise InputError(
            f"{path}: SYNTHIA's labels are 16-bit pictures of three channels, found shape "
            f"{picture.shape} of {picture.dtype}. Give the files as the archive has them."
        )
    classes = np.asarray(picture[..., 2], dtype=np.uint16)  # BGR
    return _SPACE.encode(classes, str(path))
