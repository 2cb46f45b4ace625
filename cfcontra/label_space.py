"""Label spaces: which classes exist, how they look, and which raw ids mean them.

A label space fixes the *train ids* `0..C-1` in which every label map and every
prediction of the package is written; `IGNORE_INDEX` marks pixels that count
nowhere. Mapping between two spaces goes by class name (`LabelSpace.mapping_from`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.config import read_yaml
from cfcontra.errors import InputError, LabelSpaceError

IGNORE_INDEX = 255
_MAX_CLASSES = 255

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSpace:
    """An ordered set of classes.

    Attributes:
        name: identifier, e.g. `cityscapes19`.
        classes: class names; the position is the train id.
        colors: one RGB colour per class, 0–255.
        raw_ids: id as stored in label files → train id or `IGNORE_INDEX`. Empty
            means that files hold train ids themselves (and 255 for ignored).
        subsets: name → classes whose mean IoU is reported beside that of all.
    """

    name: str
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    raw_ids: Mapping[int, int] = field(default_factory=dict)
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"label space '{self.name}'"
        if not 1 <= len(self.classes) <= _MAX_CLASSES:
            raise InputError(f"{where} has {len(self.classes)} classes; 1 to {_MAX_CLASSES} work.")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"{where} names a class twice; class names must differ.")
        if len(self.colors) != len(self.classes):
            raise InputError(
                f"{where} has {len(self.classes)} classes but {len(self.colors)} colours."
            )
        for train_id in self.raw_ids.values():
            if train_id != IGNORE_INDEX and not 0 <= train_id < len(self.classes):
                raise InputError(
                    f"{where} maps a raw id to train id {train_id}, which no class has."
                )
        for subset, names in self.subsets.items():
            strange = [name for name in names if name not in self.classes]
            if strange or not names:
                wrong = f"names {', '.join(strange)}, no class" if strange else "is empty"
                raise InputError(f"{where}: subset '{subset}' {wrong}.")

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def palette(self) -> NDArray[np.uint8]:
        """Colour table `[256, 3]` RGB; ids without a class are black."""
        table = np.zeros((256, 3), dtype=np.uint8)
        table[: self.num_classes] = np.asarray(self.colors, dtype=np.uint8)
        return table

    def encode(self, raw: NDArray[np.integer[Any]], where: str) -> NDArray[np.uint8]:
        """Turn a raw label map `[H, W]` into train ids.

        Args:
            raw: ids as read from a label file.
            where: the file's name, for the error message.

        Raises:
            InputError: the map holds an id this space does not know.
        """
        known = dict(self.raw_ids) or {i: i for i in range(self.num_classes)}
        known.setdefault(IGNORE_INDEX, IGNORE_INDEX)
        lowest, highest = int(raw.min()), int(raw.max())
        table = np.full(max(highest, 255) + 1, -1, dtype=np.int16)
        for raw_id, train_id in known.items():
            if 0 <= raw_id < len(table):
                table[raw_id] = train_id
        encoded = table[raw] if lowest >= 0 else np.full(raw.shape, -1, dtype=np.int16)
        if encoded.min() < 0:
            unknown = sorted({int(i) for i in np.unique(raw)} - known.keys())
            raise InputError(
                f"{where}: label id {', '.join(map(str, unknown[:5]))} is not part of label space "
                f"'{self.name}' (known: {_as_ranges(known)}). Choose the label space that fits."
            )
        return encoded.astype(np.uint8)

    def with_raw_ids(self, raw_ids: Mapping[int, int]) -> LabelSpace:
        """The same classes for files that hold other ids."""
        return replace(self, raw_ids=raw_ids)

    def mapping_from(self, other: LabelSpace) -> NDArray[np.uint8]:
        """Table `[256]` from the train ids of `other` to this space's, by class name.

        Classes that only `other` has become `IGNORE_INDEX`.

        Raises:
            LabelSpaceError: a class of this space does not exist in `other`.
        """
        missing = [name for name in self.classes if name not in other.classes]
        if missing:
            raise LabelSpaceError(
                f"Label spaces '{other.name}' and '{self.name}' differ: '{other.name}' has no "
                f"{', '.join(missing[:4])}{' …' if len(missing) > 4 else ''}. "
                "Use data labelled in the same space."
            )
        return mapping(other.classes, self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for checkpoints, metadata and YAML; `from_dict` reads it back."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "colors": [list(color) for color in self.colors],
            "raw_ids": {str(raw): train for raw, train in self.raw_ids.items()},
            "subsets": {name: list(classes) for name, classes in self.subsets.items()},
        }

    @classmethod
    def from_dict(cls, data: Any, where: str) -> LabelSpace:
        """Read what `to_dict` wrote, or a user's YAML of the same form.

        Raises:
            InputError: a field is missing or malformed; `where` is named in the message.
        """
        try:
            return cls(
                name=str(data["name"]),
                classes=tuple(str(name) for name in data["classes"]),
                colors=tuple(_color(color) for color in data["colors"]),
                raw_ids={
                    int(raw): int(train) for raw, train in (data.get("raw_ids") or {}).items()
                },
                subsets={
                    str(name): tuple(str(entry) for entry in classes)
                    for name, classes in (data.get("subsets") or {}).items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{where}: not a label space ({error}). It needs `name`, `classes`, `colors` "
                "(one [R, G, B] per class) and optionally `raw_ids` (id in the files: train id) "
                "and `subsets` (name: classes scored together)."
            ) from error


def mapping(before: Sequence[str], after: Sequence[str]) -> NDArray[np.uint8]:
    """Table `[256]` from places in `before` to places in `after`, by name.

    What `after` does not name becomes `IGNORE_INDEX`.
    """
    table = np.full(256, IGNORE_INDEX, dtype=np.uint8)
    for place, name in enumerate(before):
        if name in after:
            table[place] = after.index(name)
    return table


def _color(value: Any) -> Color:
    red, green, blue = (int(channel) for channel in value)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise ValueError(f"colour {value} is outside 0–255")
    return red, green, blue


def _as_ranges(ids: Mapping[int, int]) -> str:
    ordered = sorted(ids)
    spans: list[list[int]] = []
    for raw_id in ordered:
        if spans and raw_id == spans[-1][1] + 1:
            spans[-1][1] = raw_id
        else:
            spans.append([raw_id, raw_id])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in spans)


# Cordts et al. 2016: the 19 evaluated classes in train-id order.
_CITYSCAPES: tuple[tuple[str, Color], ...] = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)
# SYNTHIA-RAND-CITYSCAPES lacks three classes; the 13-class score leaves out three more.
_NOT_IN_SYNTHIA = {"terrain", "truck", "train"}
_NOT_IN_THIRTEEN = _NOT_IN_SYNTHIA | {"wall", "fence", "pole"}

# Brostow et al. 2008, the 11 classes of the SegNet tutorial (Kendall et al.); 11 is unlabelled.
_CAMVID: tuple[tuple[str, Color], ...] = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign symbol", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)


def _cityscapes(name: str, without: set[str]) -> LabelSpace:
    kept = [entry for entry in _CITYSCAPES if entry[0] not in without]
    classes = tuple(entry[0] for entry in kept)
    # What results on SYNTHIA are stated in, whatever else a model knows.
    protocols = {"16 classes": _NOT_IN_SYNTHIA, "13 classes": _NOT_IN_THIRTEEN}
    subsets = {
        title: tuple(entry for entry in classes if entry not in left_out)
        for title, left_out in protocols.items()
        if left_out - without
    }
    return LabelSpace(name, classes, tuple(entry[1] for entry in kept), subsets=subsets)


LABEL_SPACES: dict[str, LabelSpace] = {
    space.name: space
    for space in (
        _cityscapes("cityscapes19", set()),
        _cityscapes("cityscapes16", _NOT_IN_SYNTHIA),
        _cityscapes("cityscapes13", _NOT_IN_THIRTEEN),
        LabelSpace(
            "camvid11",
            tuple(name for name, _ in _CAMVID),
            tuple(color for _, color in _CAMVID),
            {**{i: i for i in range(len(_CAMVID))}, len(_CAMVID): IGNORE_INDEX},
        ),
    )
}


def get_label_space(name: str) -> LabelSpace:
    """Find a built-in label space by name, or read one from a YAML file.

    Raises:
        InputError: neither a known name nor a readable label-space file.
    """
    if name in LABEL_SPACES:
        return LABEL_SPACES[name]
    path = Path(name)
    if path.suffix in {".yaml", ".yml"}:
        return LabelSpace.from_dict(read_yaml(path), where=str(path))
    nearest = difflib.get_close_matches(name, LABEL_SPACES, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise InputError(
        f"Unknown label space '{name}'.{hint} Known: {', '.join(LABEL_SPACES)}, or a .yaml file."
    )
