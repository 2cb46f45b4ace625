"""`bdd100k:PATH`: the 10K semantic segmentation part of BDD100K (Yu et al. 2020).

Either of its two releases: `images/10k/SPLIT/*.jpg` with `labels/sem_seg/masks/SPLIT/*.png`,
or `images/SPLIT/*.jpg` with `labels/SPLIT/*_train_id.png` (the folder `seg`). Both hold
Cityscapes train ids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.images import read_ids, require_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.label_space import LABEL_SPACES


def open_spec(request: Request) -> PairedDataset:
    """Open one split.

    Raises:
        InputError: a folder or a label is missing.
    """
    split = request.choice("split", ("train", "val", "test"))
    root = request.folder()
    if (root / "images" / "10k").is_dir():
        images, labels, ending = "images/10k", root / "labels/sem_seg/masks" / split, ".png"
    else:
        images, labels, ending = "images", root / "labels" / split, "_train_id.png"
    frames = [
        Frame(image, labels / f"{image.stem}{ending}")
        for image in require_images(request.folder(images, split))
    ]
    return PairedDataset(frames, LABEL_SPACES["cityscapes19"], _read, request.labelled)


def _read(path: Path) -> NDArray[np.uint8]:
    return LABEL_SPACES["cityscapes19"].encode(read_ids(path), str(path))
