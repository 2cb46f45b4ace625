"""Each data set in miniature, in its real layout; ids as its own documentation gives them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cfcontra.datasets import open_dataset
from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.label_space import LABEL_SPACES

SIZE = (4, 6)
IGNORED = None
CITYSCAPES_IDS = {
    0: IGNORED,  # unlabelled
    1: IGNORED,  # ego vehicle
    4: IGNORED,  # static
    6: IGNORED,  # ground
    7: "road",
    8: "sidewalk",
    9: IGNORED,  # parking
    10: IGNORED,  # rail track
    11: "building",
    12: "wall",
    13: "fence",
    14: IGNORED,  # guard rail
    15: IGNORED,  # bridge
    17: "pole",
    18: IGNORED,  # pole group
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    29: IGNORED,  # caravan
    30: IGNORED,  # trailer
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
SYNTHIA_IDS = {
    0: IGNORED,
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
    13: IGNORED,  # parking slot
    14: IGNORED,  # road work
    15: "traffic light",
    16: IGNORED,  # terrain
    17: "rider",
    18: IGNORED,  # truck
    19: "bus",
    20: IGNORED,  # train
    21: "wall",
    22: IGNORED,  # lane marking
}
CAMVID_COLORS = {
    (0, 0, 0): IGNORED,  # void
    (128, 128, 128): "sky",
    (0, 128, 64): "building",  # bridge
    (128, 0, 0): "building",
    (64, 192, 0): "building",  # wall
    (64, 0, 64): "building",  # tunnel
    (192, 0, 128): "building",  # archway
    (192, 192, 128): "pole",
    (0, 0, 64): "pole",  # traffic cone
    (128, 64, 128): "road",
    (128, 0, 192): "road",  # driving lane markings
    (192, 0, 64): "road",  # other lane markings
    (0, 0, 192): "pavement",
    (64, 192, 128): "pavement",  # parking block
    (128, 128, 192): "pavement",  # road shoulder
    (128, 128, 0): "tree",
    (192, 192, 0): "tree",  # other vegetation
    (192, 128, 128): "sign symbol",
    (128, 128, 64): "sign symbol",  # text
    (0, 64, 64): "sign symbol",  # traffic light
    (64, 64, 128): "fence",
    (64, 0, 128): "car",
    (64, 128, 192): "car",  # SUV or pick-up
    (192, 128, 192): "car",  # truck or bus
    (192, 64, 128): "car",  # train
    (128, 64, 64): "car",  # other moving
    (64, 64, 0): "pedestrian",
    (192, 128, 64): "pedestrian",  # child
    (64, 0, 192): "pedestrian",  # luggage or pram
    (64, 128, 64): "pedestrian",  # animal
    (0, 128, 192): "bicyclist",
    (192, 0, 192): "bicyclist",  # motorcycle or scooter
}
VISTAS_NAMES = {
    "animal--bird": IGNORED,
    "construction--barrier--curb": "sidewalk",
    "construction--barrier--guard-rail": IGNORED,
    "construction--barrier--wall": "wall",
    "construction--flat--road": "road",
    "construction--flat--bike-lane": IGNORED,
    "construction--structure--building": "building",
    "human--person": "person",
    "human--rider--bicyclist": "rider",
    "marking--general": "road",
    "marking--crosswalk-zebra": IGNORED,
    "nature--mountain": IGNORED,
    "object--support--pole": "pole",
    "object--support--traffic-sign-frame": IGNORED,
    "object--traffic-light": "traffic light",
    "object--traffic-sign--back": IGNORED,
    "object--traffic-sign--front": "traffic sign",
    "object--vehicle--on-rails": "train",
    "object--vehicle--other-vehicle": IGNORED,
    "void--unlabeled": IGNORED,
}

VISTAS_SECOND_NAMES = {
    "construction--barrier--road-median": IGNORED,
    "construction--barrier--wall": "wall",
    "construction--flat--road": "road",
    "construction--flat--road-shoulder": IGNORED,
    "construction--flat--sidewalk": "sidewalk",
    "human--person--individual": "person",
    "human--person--person-group": "person",
    "human--rider--motorcyclist": "rider",
    "marking--continuous--dashed": "road",
    "marking--discrete--crosswalk-zebra": "road",
    "object--support--pole": "pole",
    "object--support--pole-group": IGNORED,
    "object--traffic-light--general-upright": "traffic light",
    "object--traffic-sign--direction-back": IGNORED,
    "object--traffic-sign--front": "traffic sign",
    "object--vehicle--car": "car",
    "void--ground": IGNORED,
}


def expected(names: list[str | None], space: str) -> NDArray[np.uint8]:
    classes = LABEL_SPACES[space].classes
    return np.array([255 if name is None else classes.index(name) for name in names])


def picture(path: Path, size: tuple[int, int], shade: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size[::-1], (shade, 20, 200)).save(path)


def ids_picture(path: Path, ids: list[int], palette: bool = False) -> tuple[int, int]:
    """One row per id, three wide; the size is returned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.repeat(np.array(ids, dtype=np.uint8)[:, None], 3, axis=1)
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette([channel for i in range(256) for channel in (i, 255 - i, 7)])
    image.save(path)
    return pixels.shape


def cityscapes(root: Path) -> str:
    for split in ("train", "val"):
        for city in ("ulm", "aachen"):
            stem = f"{city}_000000_000019"
            label = root / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png"
            size = ids_picture(label, [*CITYSCAPES_IDS])
            picture(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png", size)
    return f"cityscapes:{root}"


def acdc(root: Path) -> str:
    for condition in ("fog", "night", "rain", "snow"):
        stem = "GOPR0475/GOPR0475_frame_000041"
        label = root / f"gt/{condition}/train/{stem}_gt_labelIds.png"
        size = ids_picture(label, [*CITYSCAPES_IDS])
        picture(root / f"rgb_anon/{condition}/train/{stem}_rgb_anon.png", size)
        picture(root / f"rgb_anon/{condition}/train_ref/{stem}_rgb_ref_anon.png", size)
    return f"acdc:{root}"


def gta5(root: Path) -> str:
    for number in (1, 2):
        size = ids_picture(root / f"labels/0000{number}.png", [*CITYSCAPES_IDS, 34], palette=True)
        picture(root / f"images/0000{number}.png", size)
    return f"gta5:{root}"


def synthia(root: Path) -> str:
    pixels = np.zeros((len(SYNTHIA_IDS), 3, 3), dtype=np.uint16)
    pixels[..., 2] = np.array([*SYNTHIA_IDS])[:, None]  # OpenCV's red
    pixels[..., 1] = 700  # the instance
    (root / "GT/LABELS").mkdir(parents=True)
    cv2.imwrite(str(root / "GT/LABELS/0000000.png"), pixels)
    picture(root / "RGB/0000000.png", pixels.shape[:2])
    return f"synthia:{root}"


def bdd100k(root: Path) -> str:
    size = ids_picture(root / "labels/sem_seg/masks/train/0004a4c0-d4dff0ad.png", [*range(19), 255])
    picture(root / "images/10k/train/0004a4c0-d4dff0ad.jpg", size)
    return f"bdd100k:{root}"


def bdd100k_seg(root: Path) -> str:
    size = ids_picture(root / "labels/train/0004a4c0-d4dff0ad_train_id.png", [*range(19), 255])
    picture(root / "images/train/0004a4c0-d4dff0ad.jpg", size)
    return f"bdd100k:{root}"


def camvid_colors(root: Path) -> str:
    pixels = np.repeat(np.array([*CAMVID_COLORS], dtype=np.uint8)[:, None], 3, axis=1)
    for stem in ("0001TP_006690", "0016E5_07959"):
        picture(root / f"701_StillsRaw_full/{stem}.png", pixels.shape[:2])
        label = root / f"LabeledApproved_full/{stem}_L.png"
        label.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(label)
    return f"camvid:{root}"


def camvid_ids(root: Path) -> str:
    size = ids_picture(root / "trainannot/0001TP_006690.png", [*range(12)])
    picture(root / "train/0001TP_006690.png", size)
    return f"camvid:{root}"


def mapillary(root: Path) -> str:
    return _vistas(root, VISTAS_NAMES, "v1.2/labels", "config_v1.2.json")


def _vistas(root: Path, names: dict[str, str | None], labels: str, config: str) -> str:
    size = ids_picture(root / f"training/{labels}/A_b-1.png", [*range(len(names))], True)
    picture(root / "training/images/A_b-1.jpg", size)
    entries = [{"name": name, "color": [1, 2, 3]} for name in names]
    (root / config).write_text(json.dumps({"labels": entries}))
    return f"mapillary:{root}"


def mapillary_first(root: Path) -> str:
    return _vistas(root, VISTAS_NAMES, "labels", "config.json")


def mapillary_second(root: Path) -> str:
    entries = (VISTAS_SECOND_NAMES, "v2.0/labels", "config_v2.0.json")
    return f"{_vistas(root, *entries)},version=v2.0"


Maker = Callable[[Path], str]
NINETEEN = list(LABEL_SPACES["cityscapes19"].classes)
ELEVEN = list(LABEL_SPACES["camvid11"].classes)
CASES: list[tuple[Maker, str, list[str | None]]] = [
    (cityscapes, "cityscapes19", [*CITYSCAPES_IDS.values()]),
    (acdc, "cityscapes19", [*CITYSCAPES_IDS.values()]),
    (gta5, "cityscapes19", [*CITYSCAPES_IDS.values(), IGNORED]),
    (synthia, "cityscapes16", [*SYNTHIA_IDS.values()]),
    (bdd100k, "cityscapes19", [*NINETEEN, IGNORED]),
    (bdd100k_seg, "cityscapes19", [*NINETEEN, IGNORED]),
    (camvid_colors, "camvid11", [*CAMVID_COLORS.values()]),
    (camvid_ids, "camvid11", [*ELEVEN, IGNORED]),
    (mapillary, "cityscapes19", [*VISTAS_NAMES.values()]),
    (mapillary_first, "cityscapes19", [*VISTAS_NAMES.values()]),
    (mapillary_second, "cityscapes19", [*VISTAS_SECOND_NAMES.values()]),
]


@pytest.mark.parametrize(("make", "space", "names"), CASES)
def test_every_id_means_its_class(
    make: Maker, space: str, names: list[str | None], tmp_path: Path
) -> None:
    dataset = open_dataset(make(tmp_path))
    assert dataset.label_space.name == space
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.label is not None
        assert sample.label[:, 1].tolist() == expected(names, space).tolist()
        assert sample.image.shape == (*sample.label.shape, 3)
        assert abs(sample.image.astype(int) - (90, 20, 200)).max() < 8


def label_files(root: Path) -> list[Path]:
    words = ("abel", "gt", "GT", "annot")
    files = [path for path in sorted(root.rglob("*.png")) if "val" not in path.parts]
    return [p for p in files if any(word in str(p.relative_to(root)) for word in words)]


@pytest.mark.parametrize("make", [case[0] for case in CASES])
def test_without_labels_no_label_file_is_opened(
    make: Maker, tmp_path: Path, opened_files: list[str]
) -> None:
    spec = make(tmp_path)
    labels = {str(path) for path in label_files(tmp_path)}
    opened_files.clear()
    sample = open_dataset(spec, labelled=False)[0]
    assert sample.label is None and sample.origin in opened_files
    assert labels and not labels & {*opened_files}
    open_dataset(spec)[0]
    assert labels & {*opened_files}


@pytest.mark.parametrize("make", [case[0] for case in CASES])
def test_a_missing_label_is_named(make: Maker, tmp_path: Path) -> None:
    spec = make(tmp_path)
    label = label_files(tmp_path)[0]
    label.unlink()
    with pytest.raises(InputError, match=r"has no label .*Add or remove") as caught:
        open_dataset(spec)
    assert str(label) in str(caught.value)


def test_splits_and_conditions(tmp_path: Path) -> None:
    spec = cityscapes(tmp_path / "c")
    origins = [open_dataset(f"{spec},split=val")[i].origin for i in range(2)]
    assert ["val/aachen" in origins[0], "val/ulm" in origins[1]] == [True, True]
    spec = acdc(tmp_path / "a")
    every = open_dataset(spec)
    assert [every[i].condition for i in range(4)] == ["fog", "night", "rain", "snow"]
    assert open_dataset(f"{spec},condition=rain")[0].condition == "rain"
    reference = open_dataset(f"{spec},reference=yes", labelled=False)
    assert len(reference) == 4 and "_rgb_ref_anon" in reference[0].origin
    with pytest.raises(InputError, match="reference pictures have no labels"):
        open_dataset(f"{spec},reference=yes")
    with pytest.raises(InputError, match=r"condition=rian is not one of.*Did you mean 'rain'"):
        open_dataset(f"{spec},condition=rian")
    with pytest.raises(InputError, match="no such folder; cityscapes data sets have one"):
        open_dataset(f"cityscapes:{tmp_path / 'a'}")
    spec = camvid_colors(tmp_path / "v")
    assert len(open_dataset(f"{spec},sequence=0016E5")) == 1


def test_gta5_leaves_out_frames_whose_sizes_differ(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = gta5(tmp_path)
    picture(tmp_path / "images/00002.png", (5, 9))
    with caplog.at_level(logging.WARNING):
        dataset = open_dataset(spec)
    assert len(dataset) == 1 and "00001" in dataset[0].origin
    assert "00002.png" in caplog.text


def test_gta5_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = gta5(tmp_path)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "scipy.io", None)
        with pytest.raises(MissingDependencyError, match=r"split\.mat.*pip install scipy"):
            open_dataset(f"{spec},split=val")
    pytest.importorskip("scipy", reason="split.mat is read with scipy")
    from scipy.io import savemat

    with pytest.raises(InputError, match=r"split\.mat: cannot be read"):
        open_dataset(f"{spec},split=val")
    rows = {"trainIds": np.array([[1], [7]]), "valIds": np.array([[2]]), "testIds": np.array([[9]])}
    savemat(tmp_path / "split.mat", rows)
    for split, stem in (("train", "00001"), ("val", "00002")):
        dataset = open_dataset(f"{spec},split={split}")
        assert [Path(dataset[i].origin).stem for i in range(len(dataset))] == [stem]
    with pytest.raises(InputError, match="no picture belongs to split 'test'"):
        open_dataset(f"{spec},split=test")
    (tmp_path / "split.mat").write_bytes(b"no mat" * 40)
    with pytest.raises(InputError, match=r"split\.mat: cannot be read"):
        open_dataset(f"{spec},split=val")


def test_gta5_labels_by_colour(tmp_path: Path) -> None:
    spec = gta5(tmp_path)
    space = LABEL_SPACES["cityscapes19"]
    pixels = np.array([[*space.colors], [*space.colors[::-1]]], dtype=np.uint8)
    pixels[1, 0] = (3, 3, 3)
    for number in (1, 2):
        Image.fromarray(pixels).save(tmp_path / f"labels/0000{number}.png")
        picture(tmp_path / f"images/0000{number}.png", (2, 19))
    label = open_dataset(spec)[0].label
    assert label is not None
    assert label[0].tolist() == [*range(19)]
    assert label[1].tolist() == [255, *range(17, -1, -1)]


def test_synthia_is_scored_in_thirteen_classes_too(tmp_path: Path) -> None:
    label = open_dataset(synthia(tmp_path), LABEL_SPACES["cityscapes13"])[0].label
    assert label is not None
    names = [None if n in {"wall", "fence", "pole"} else n for n in SYNTHIA_IDS.values()]
    assert label[:, 0].tolist() == expected(names, "cityscapes13").tolist()


def test_a_label_space_without_the_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'cityscapes16' has no terrain, truck, train"):
        open_dataset(synthia(tmp_path), LABEL_SPACES["cityscapes19"])


def test_ids_of_another_data_set_are_named(tmp_path: Path) -> None:
    spec = bdd100k(tmp_path)
    ids_picture(tmp_path / "labels/sem_seg/masks/train/0004a4c0-d4dff0ad.png", [33] * 20)
    with pytest.raises(InputError, match="label id 33 is not part of label space"):
        open_dataset(spec)[0]
