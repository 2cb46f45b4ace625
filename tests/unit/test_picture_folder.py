"""Pictures as cameras and phones write them: with EXIF, held in any way, of several kinds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cfcontra.errors import InputError
from cfcontra.orientation import Orientation
from cfcontra.serve.video.fit import Fit
from cfcontra.serve.video.picture import planes
from cfcontra.serve.video.picture_folder import PictureFolder
from cfcontra.serve.video.shape import RgbConverter, Shaper

_MAKE, _ORIENTATION = 0x10F, 0x112  # Exif 2.3, 4.6.4
_TRANSPOSED = range(5, 9)


def quadrants() -> NDArray[np.uint8]:
    """Four colours that tell how a picture lies."""
    colors = np.array([[[200, 60, 30], [40, 180, 90]], [[30, 70, 210], [220, 210, 60]]], np.uint8)
    return colors.repeat(32, 0).repeat(48, 1)


def save(path: Path, orientation: int, stored: NDArray[np.uint8]) -> Path:
    exif = Image.Exif()
    exif[_MAKE], exif[_ORIENTATION] = "Camera", orientation
    Image.fromarray(stored).save(path, exif=exif)
    return path


def opened(*pictures: Path) -> PictureFolder:
    return PictureFolder(pictures[0].parent, pictures, Fraction(25))


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_pictures_of_a_camera_held_in_any_way_are_upright(tmp_path: Path, ending: str) -> None:
    wide = quadrants()
    tall = np.ascontiguousarray(wide.swapaxes(0, 1))
    pictures = [
        save(tmp_path / f"{number}.{ending}", number, tall if number in _TRANSPOSED else wide)
        for number in (1, 6, 2, 3, 4, 5, 7, 8)
    ]
    to_rgb = RgbConverter()
    for path, frame in zip(pictures, opened(*pictures), strict=True):
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        off = np.abs(to_rgb(frame.image).astype(int) - expected)
        assert off.mean() < 4, path.name  # where two colours meet, 4:2:0 mixes them


def test_sizes_are_compared_as_they_are_seen(tmp_path: Path) -> None:
    level = save(tmp_path / "level.jpg", 1, quadrants())
    on_its_side = save(tmp_path / "side.jpg", 6, quadrants())
    with pytest.raises(InputError, match=r"side.jpg: is 64×96, the first picture was 96×64"):
        list(opened(level, on_its_side))
    assert opened(on_its_side, on_its_side).format.width == 64


@pytest.mark.parametrize("first", ["a.png", "b.jpg"])
def test_kinds_of_pictures_keep_their_colours_in_one_folder(tmp_path: Path, first: str) -> None:
    flat = np.full((64, 96, 3), (200, 100, 70), np.uint8)
    kinds = [save(tmp_path / name, 1, flat) for name in ("a.png", "b.jpg")]
    source = opened(*sorted(kinds, key=lambda path: path.name != first))
    expected = source.format.color.yuv(flat[0, :1])[0]
    for frame in source:
        found = [int(plane[8, 8]) for plane in planes(frame.image)]
        assert found == pytest.approx(expected.tolist(), abs=3), frame.name


def test_a_turned_picture_of_a_stream_keeps_its_colours(tmp_path: Path) -> None:
    with av.open(str(save(tmp_path / "a.png", 6, quadrants()))) as container:
        frame = next(container.decode(video=0))
    shape = Shaper(frame, "a.png", Fraction(25), Fraction(1, 25))
    fitted = Fit(shape.format)(frame, Fraction(1), Orientation.of(frame, "a.png"))
    for found, expected in zip(planes(fitted), planes(shape(frame)), strict=True):
        assert np.array_equal(found, expected)
