from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from cfcontra.errors import InputError
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES, LabelSpace, get_label_space


def test_built_in_spaces_have_their_published_sizes() -> None:
    sizes = {name: space.num_classes for name, space in LABEL_SPACES.items()}
    assert sizes == {"cityscapes19": 19, "cityscapes16": 16, "cityscapes13": 13, "camvid11": 11}


def test_sixteen_and_thirteen_leave_out_the_published_classes() -> None:
    nineteen, sixteen, thirteen = (
        set(LABEL_SPACES[f"cityscapes{n}"].classes) for n in (19, 16, 13)
    )
    assert nineteen - sixteen == {"terrain", "truck", "train"}
    assert sixteen - thirteen == {"wall", "fence", "pole"}


def test_mapping_goes_by_name() -> None:
    nineteen, sixteen = LABEL_SPACES["cityscapes19"], LABEL_SPACES["cityscapes16"]
    table = sixteen.mapping_from(nineteen)
    for train_id, name in enumerate(nineteen.classes):
        expected = sixteen.classes.index(name) if name in sixteen.classes else IGNORE_INDEX
        assert table[train_id] == expected
    assert table[IGNORE_INDEX] == IGNORE_INDEX


def test_mapping_to_a_space_with_other_classes_names_them() -> None:
    with pytest.raises(InputError, match="has no pavement"):
        LABEL_SPACES["camvid11"].mapping_from(LABEL_SPACES["cityscapes19"])


def test_encode_against_a_pixel_loop() -> None:
    space = LABEL_SPACES["camvid11"]
    raw = np.random.default_rng(0).integers(0, 12, size=(7, 9), dtype=np.uint8)
    encoded = space.encode(raw, "x")
    for value, result in zip(raw.ravel(), encoded.ravel(), strict=True):
        assert result == (IGNORE_INDEX if value == 11 else value)


def test_unknown_id_names_file_id_and_space() -> None:
    raw = np.array([[0, 77]], dtype=np.uint8)
    with pytest.raises(InputError, match=r"a\.png: label id 77 .*camvid11.*0–11, 255"):
        LABEL_SPACES["camvid11"].encode(raw, "a.png")


def test_sixteen_bit_ids_do_not_wrap_around() -> None:
    with pytest.raises(InputError, match="256"):
        LABEL_SPACES["camvid11"].encode(np.array([[256]], dtype=np.uint16), "a.png")


def test_own_yaml_space_round_trips(tmp_path: Path) -> None:
    own = LabelSpace("yard", ("lane", "rest"), ((1, 2, 3), (4, 5, 6)), {7: 0, 9: 1, 12: 255})
    path = tmp_path / "yard.yaml"
    path.write_text(yaml.safe_dump(own.to_dict()))
    assert get_label_space(str(path)) == own


@pytest.mark.parametrize(
    "text",
    ["", "name: x", "name: x\nclasses: [a]\ncolors: [[1, 2]]", "name: x\nclasses: a\ncolors: 3"],
)
def test_malformed_yaml_is_one_clear_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        get_label_space(str(path))


def test_a_file_that_is_not_utf8_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nclasses: [Straße]\ncolors: [[1, 2, 3]]", encoding="latin-1")
    with pytest.raises(InputError, match=r"bad\.yaml: cannot be read .*utf-8"):
        get_label_space(str(path))


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'cityscapes19'"):
        get_label_space("cityscape19")
