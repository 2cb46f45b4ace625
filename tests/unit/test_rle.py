"""Run-length encoded masks, held against COCO's own encoder."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES
from cfcontra.rle import decode_masks, encode_masks

CLASSES = LABEL_SPACES["camvid11"].classes


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (37, 53), (128, 200)])
@pytest.mark.parametrize("kind", ["one class", "blocks", "noise"])
def test_it_is_what_coco_encodes(size: tuple[int, int], kind: str) -> None:
    """Oracle: `pycocotools.mask.encode` of each class's own bitmap."""
    rng = np.random.default_rng(3)
    mask = rng.integers(len(CLASSES), size=size, dtype=np.uint8)
    if kind == "one class":
        mask[:] = mask[0, 0]
    elif kind == "blocks":
        mask = mask.repeat(8, axis=0).repeat(8, axis=1)[: size[0], : size[1]]
    mask[rng.random(size) < 0.1] = IGNORE_INDEX
    encoded = encode_masks(mask, CLASSES)
    assert [entry["id"] for entry in encoded] == [i for i in range(11) if (mask == i).any()]
    for entry in encoded:
        bitmap = np.asfortranarray(mask == entry["id"]).astype(np.uint8)
        expected = coco.encode(bitmap)
        assert entry["counts"].encode() == expected["counts"]
        assert entry["size"] == list(expected["size"]) == list(size)
        assert entry["area"] == bitmap.sum() == coco.area(expected)
        assert entry["class"] == CLASSES[entry["id"]]
    if encoded:
        assert np.array_equal(decode_masks(encoded), mask)


def test_ids_without_a_class_are_left_out() -> None:
    assert encode_masks(np.full((4, 5), IGNORE_INDEX, np.uint8), CLASSES) == []
    assert encode_masks(np.full((4, 5), 11, np.uint8), CLASSES) == []
