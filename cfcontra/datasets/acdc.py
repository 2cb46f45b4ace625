"""`acdc:PATH`: ACDC, adverse conditions (Sakaridis et al. 2021), as its archives unpack.

`rgb_anon/CONDITION/SPLIT/SEQUENCE/*_rgb_anon.png` with
`gt/CONDITION/SPLIT/SEQUENCE/*_gt_labelIds.png`. `condition=` takes one of the four;
`reference=yes` takes the pictures of the same places in clear weather, which have no labels.
"""

from __future__ import annotations

from pathlib import Path

from cfcontra.datasets.cityscapes import read_label_ids
from cfcontra.datasets.images import list_images
from cfcontra.datasets.paired import Frame, PairedDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError, UnlabelledError
from cfcontra.label_space import LABEL_SPACES

CONDITIONS = ("fog", "night", "rain", "snow")


def open_spec(request: Request) -> PairedDataset:
    """Open one split of one condition or of all.

    Raises:
        InputError: a folder or a label is missing, or labels of reference pictures are wanted.
    """
    split = request.choice("split", ("train", "val", "test"))
    condition = request.choice("condition", ("all", *CONDITIONS))
    reference = request.choice("reference", ("no", "yes")) == "yes"
    if reference and request.labelled:
        raise UnlabelledError(
            f"{request.spec}: reference pictures have no labels; use them as a target."
        )
    root = request.folder("rgb_anon")
    labels = Path(request.place) / "gt"
    folder = f"{split}_ref" if reference else split
    ending = "_rgb_ref_anon.png" if reference else "_rgb_anon.png"
    frames = [
        Frame(image, labels / name / split / image.parent.name / _label_name(image), name)
        for name in (CONDITIONS if condition == "all" else (condition,))
        for image in list_images(root / name / folder, f"*/*{ending}")
    ]
    if not frames:
        raise InputError(f"{root}: holds no pictures of the form {condition}/{folder}/*/*{ending}.")
    return PairedDataset(frames, LABEL_SPACES["cityscapes19"], read_label_ids, request.labelled)


def _label_name(image: Path) -> str:
    return image.name.replace("_rgb_anon.png", "_gt_labelIds.png")
