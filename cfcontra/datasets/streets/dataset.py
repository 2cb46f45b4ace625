"""Streets as a dataset, and as a drive."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.request import Request
from cfcontra.datasets.streets.dice import Dice, name_key
from cfcontra.datasets.streets.styles import STYLES, render
from cfcontra.datasets.streets.world import World
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES

SPLITS = ("train", "val")
_SMALLEST = 32
_LONGEST_WAIT = 2.0  # seconds into a street's life at which its one frame is taken


class StreetsDataset(SegmentationDataset):
    """Procedural street scenes: no files, no end of them, exact labels.

    A frame is a pure function of style, split, seed, size and index. Frames of two
    styles or splits never show the same scene, but are drawn from the same scenes'
    distribution. At another size the same index is the same scene.

    Args:
        style: one of `STYLES`.
        size: height and width of the frames.
        length: number of frames.
        seed: another seed gives other scenes.
        split: `train` or `val`.
        labelled: False yields samples without labels.

    Raises:
        InputError: unknown style or split, or a size or length that is too small.
    """

    def __init__(
        self,
        style: str,
        *,
        size: tuple[int, int] = (256, 512),
        length: int = 1000,
        seed: int = 0,
        split: str = "train",
        labelled: bool = True,
    ) -> None:
        self.style = _known("style", style, STYLES)
        self.split = _known("split", split, SPLITS)
        self.size = _checked_size(size)
        if length < 0:
            raise InputError(f"streets: length {length} is negative; give the number of frames.")
        self.seed = seed
        self.label_space = LABEL_SPACES["cityscapes19"]
        self.labelled = labelled
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Sample:
        """Frame `index`: image RGB uint8 `[H, W, 3]`, label uint8 `[H, W]`.

        Raises:
            IndexError: `index` is negative or not below the length.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"frame {index} of {self._length} street scenes")
        key = (name_key(self.style), name_key(self.split), self.seed, index)
        time = Dice(*key, 0).between(0.0, _LONGEST_WAIT)
        image, label = render(self.style, World(*key), key, 0, time, self.size)
        origin = f"streets:{self.style}/{self.split}/{index:06d}"
        return Sample(image, label if self.labelled else None, origin)


def drive(
    style: str,
    *,
    frames: int,
    size: tuple[int, int] = (360, 640),
    fps: float = 25.0,
    seed: int = 0,
) -> Iterator[Sample]:
    """A continuous drive down one street at about 10 m/s, with labels.

    Args:
        style: one of `STYLES`.
        frames: how many frames.
        size: height and width of the frames.
        fps: frames per second.
        seed: another seed is another street.

    Yields:
        Samples with image RGB uint8 `[H, W, 3]` and label uint8 `[H, W]`.

    Raises:
        InputError: unknown style, or a size or frame rate that cannot be.
    """
    _known("style", style, STYLES)
    _checked_size(size)
    if fps <= 0:
        raise InputError(f"streets: {fps} frames per second; the frame rate must be above 0.")
    return _drive(style, frames, size, fps, seed)


def _drive(
    style: str, frames: int, size: tuple[int, int], fps: float, seed: int
) -> Iterator[Sample]:
    key = (name_key(style), name_key("drive"), seed)
    world = World(*key)
    for frame in range(frames):
        image, label = render(style, world, key, frame, frame / fps, size)
        yield Sample(image, label, f"streets:{style}/drive/{frame:06d}")


def _known(what: str, name: str, names: tuple[str, ...]) -> str:
    if name in names:
        return name
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean '{nearest[0]}'?" if nearest else ""
    raise InputError(f"streets: unknown {what} '{name}'.{hint} Known: {', '.join(names)}.")


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < _SMALLEST:
        raise InputError(
            f"streets: size {size[0]}×{size[1]} is too small; both sides need {_SMALLEST} or more."
        )
    return size


def open_spec(request: Request) -> StreetsDataset:
    """Open streets of the style that the place names.

    Raises:
        InputError: an option that does not fit, or anything `StreetsDataset` refuses.
    """
    size = request.text("size", "256x512")
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", size)
    if not match:
        raise InputError(f"{request.spec}: size={size} must be HEIGHTxWIDTH.")
    return StreetsDataset(
        request.place,
        size=(int(match[1]), int(match[2])),
        length=request.integer("length", 1000),
        seed=request.integer("seed", 0),
        split=request.text("split", "train"),
        labelled=request.labelled,
    )
