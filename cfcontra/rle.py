"""Masks as text: COCO's run-length encoding, class by class."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from cfcontra.label_space import IGNORE_INDEX

EncodedClass = TypedDict(
    "EncodedClass", {"class": str, "id": int, "area": int, "size": list[int], "counts": str}
)
"""One class of a mask: its name, train id and number of pixels; `size` is `[height, width]` and
`counts` COCO's compressed run lengths. `pycocotools.mask.decode` takes it as it is."""


def encode_masks(mask: NDArray[np.uint8], classes: tuple[str, ...]) -> list[EncodedClass]:
    """Encode the classes that a mask holds, in the order of their ids.

    The runs of all classes are found in one pass; a loop over classes would read the mask
    once for each.

    Args:
        mask: train ids `[H, W]`; ids without a class, such as the ignored, are left out.
        classes: names by train id.
    """
    height, width = mask.shape
    pixels = np.ascontiguousarray(mask.T).reshape(-1)  # COCO counts down the columns
    starts = np.flatnonzero(np.concatenate(([True], pixels[1:] != pixels[:-1])))
    ends = np.append(starts[1:], pixels.size)
    ids = pixels[starts]
    present = [number for number in np.unique(ids).tolist() if number < len(classes)]
    areas, plain = [], []
    for number in present:
        chosen = ids == number
        borders = np.stack((starts[chosen], ends[chosen]), axis=1)
        counts = np.diff(borders.reshape(-1), prepend=0, append=pixels.size)
        if counts[-1] == 0:
            counts = counts[:-1]
        areas.append(int((borders[:, 1] - borders[:, 0]).sum()))
        plain.append({"size": [height, width], "counts": counts.tolist()})
    encoded = coco.frPyObjects(plain, height, width) if plain else []
    return [
        {
            "class": classes[number],
            "id": number,
            "area": area,
            "size": [height, width],
            "counts": entry["counts"].decode("ascii"),
        }
        for number, area, entry in zip(present, areas, encoded, strict=True)
    ]


def decode_masks(encoded: list[EncodedClass]) -> NDArray[np.uint8]:
    """The mask `[H, W]` that `encode_masks` was given; pixels of no class are ignored.

    Args:
        encoded: at least one class.
    """
    mask = np.full(encoded[0]["size"], IGNORE_INDEX, np.uint8)
    for entry in encoded:
        mask[coco.decode({"size": entry["size"], "counts": entry["counts"]}) == 1] = entry["id"]
    return mask
