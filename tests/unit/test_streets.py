"""The procedural streets: a dataset that must be exact, varied and honest about its two domains."""

from __future__ import annotations

from functools import cache
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.datasets.base import Sample
from cfcontra.datasets.streets import STYLES, StreetsDataset, drive
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES

CLASSES = LABEL_SPACES["cityscapes19"].classes
SMALL = (128, 256)
FRAMES = 120


@cache
def many(style: str) -> tuple[Sample, ...]:
    dataset = StreetsDataset(style, size=SMALL, length=FRAMES)
    return tuple(dataset[i] for i in range(FRAMES))


def labels(sample: Sample) -> NDArray[np.uint8]:
    assert sample.label is not None
    return sample.label


def frequencies(style: str) -> NDArray[np.float64]:
    counts = sum(np.bincount(labels(s).ravel(), minlength=len(CLASSES)) for s in many(style))
    return np.asarray(counts) / np.sum(counts)


@pytest.mark.parametrize("style", STYLES)
def test_a_frame_is_a_pure_function_of_its_index(style: str) -> None:
    one, other = StreetsDataset(style, size=SMALL), StreetsDataset(style, size=SMALL, length=5)
    first = one[3]
    one[4]
    for again in (one[3], other[3]):
        assert np.array_equal(first.image, again.image)
        assert np.array_equal(labels(first), labels(again))
        assert first.origin == again.origin == f"streets:{style}/train/000003"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [SMALL, (96, 100), (33, 64)])
def test_shapes_and_types(style: str, size: tuple[int, int]) -> None:
    sample = StreetsDataset(style, size=size)[0]
    assert sample.image.shape == (*size, 3)
    assert labels(sample).shape == size
    assert sample.image.dtype == labels(sample).dtype == np.uint8


def test_styles_splits_and_seeds_share_no_scene() -> None:
    seen = {
        labels(StreetsDataset(style, size=SMALL, split=split, seed=seed)[i]).tobytes()
        for style in STYLES
        for split in ("train", "val")
        for seed in (0, 1, -1)
        for i in range(4)
    }
    assert len(seen) == len(STYLES) * 2 * 3 * 4


@pytest.mark.parametrize("style", STYLES)
def test_every_class_appears_and_no_other_id(style: str) -> None:
    present = np.unique(np.concatenate([np.unique(labels(s)) for s in many(style)]))
    assert present.tolist() == list(range(len(CLASSES)))


def test_both_styles_see_the_same_class_frequencies() -> None:
    distance = np.abs(frequencies("noon") - frequencies("dusk")).sum() / 2
    assert distance < 0.06


def test_without_labels() -> None:
    assert StreetsDataset("dusk", size=SMALL, labelled=False)[0].label is None


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("index", range(3))
def test_the_size_changes_the_resolution_not_the_scene(style: str, index: int) -> None:
    large = StreetsDataset(style, size=(512, 1024))[index]
    small = StreetsDataset(style, size=SMALL)[index]
    shrunk = cv2.resize(labels(large), SMALL[::-1], interpolation=cv2.INTER_NEAREST)
    assert (shrunk == labels(small)).mean() > 0.95
    picture = cv2.resize(large.image, SMALL[::-1], interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(picture - small.image).mean() < 8


@pytest.mark.parametrize("style", STYLES)
def test_labels_follow_the_edges_of_the_picture(style: str) -> None:
    """Across the sky's border the picture changes where the label does, not beside it."""
    step_at = np.zeros(9)
    for sample in many(style)[:40]:
        grey = sample.image.astype(float).mean(axis=2)
        sky = labels(sample) == CLASSES.index("sky")
        rows, columns = np.nonzero(sky[8:-8] & ~sky[9:-7])
        for shift in range(-4, 5):
            above, below = grey[rows + 8 + shift, columns], grey[rows + 9 + shift, columns]
            step_at[shift + 4] += np.abs(above - below).sum()
    assert abs(int(step_at.argmax()) - 4) <= 1


@pytest.mark.parametrize("style", STYLES)
def test_a_drive_is_continuous_and_moves(style: str) -> None:
    frames = list(drive(style, frames=26, size=SMALL, seed=2))
    assert len({s.origin for s in frames}) == 26
    for one, following in pairwise(frames):
        assert (labels(one) == labels(following)).mean() > 0.9
        assert not np.array_equal(one.image, following.image)
    assert (labels(frames[0]) == labels(frames[-1])).mean() < 0.97


def test_a_drive_goes_on() -> None:
    late = next(islice(drive("noon", frames=10, size=SMALL, fps=0.001), 5, None))
    assert len(np.unique(labels(late))) > 6


def test_the_drive_is_deterministic_and_lazy() -> None:
    stream = drive("dusk", frames=10**9, size=SMALL)
    again = drive("dusk", frames=2, size=SMALL)
    assert np.array_equal(next(stream).image, next(again).image)


def class_brightness(style: str) -> NDArray[np.float64]:
    total, count = np.zeros(len(CLASSES)), np.zeros(len(CLASSES))
    for sample in many(style):
        grey = sample.image.astype(float).mean(axis=2).ravel()
        total += np.bincount(labels(sample).ravel(), weights=grey, minlength=len(CLASSES))
        count += np.bincount(labels(sample).ravel(), minlength=len(CLASSES))
    return total / count


def test_the_domains_differ_by_more_than_channel_statistics() -> None:
    """Matching each channel's mean and spread is monotone: it cannot turn an order round."""
    noon, dusk = class_brightness("noon"), class_brightness("dusk")
    sky = CLASSES.index("sky")
    overtakers = [
        c for c in ("building", "road", "terrain", "bus") if noon[CLASSES.index(c)] < noon[sky]
    ]
    turned = [c for c in overtakers if dusk[CLASSES.index(c)] > dusk[sky]]
    assert len(overtakers) == 4
    assert len(turned) >= 3
    ranks = [values.argsort().argsort() for values in (noon, dusk)]
    assert np.corrcoef(ranks[0], ranks[1])[0, 1] < 0.8


def colour_features(style: str, reference: str | None = None) -> NDArray[np.float64]:
    """Every 64th pixel of the style; with a reference, moved to its channel statistics."""
    pixels = np.concatenate([s.image[::8, ::8].reshape(-1, 3) for s in many(style)]).astype(float)
    if reference is None:
        return pixels
    target = colour_features(reference)
    standard = (pixels - pixels.mean(0)) / pixels.std(0)
    return np.asarray(standard * target.std(0) + target.mean(0))


def test_matched_statistics_leave_the_colours_of_classes_apart() -> None:
    """A nearest-class-colour rule from noon loses much more on matched dusk than on noon."""
    truth = {s: np.concatenate([labels(x)[::8, ::8].ravel() for x in many(s)]) for s in STYLES}
    noon, matched = colour_features("noon"), colour_features("dusk", "noon")
    main = [CLASSES.index(c) for c in ("road", "building", "vegetation", "sky")]
    centers = np.array([noon[truth["noon"] == c].mean(0) for c in main])

    def accuracy(pixels: NDArray[np.float64], ids: NDArray[np.uint8]) -> float:
        distance = ((pixels[:, None] - centers[None]) ** 2).sum(axis=2)
        right = np.array(main)[distance.argmin(axis=1)] == ids
        return float(np.mean([right[ids == c].mean() for c in main]))

    assert accuracy(noon, truth["noon"]) - accuracy(matched, truth["dusk"]) > 0.15


def test_neither_style_is_crushed() -> None:
    for style in STYLES:
        pixels = colour_features(style)
        assert np.percentile(pixels, 90) > 80
        assert (pixels.max(axis=1) < 8).mean() < 0.05


def test_indices_out_of_range() -> None:
    dataset = StreetsDataset("noon", size=SMALL, length=2)
    assert len(dataset) == 2
    for index in (2, -1):
        with pytest.raises(IndexError):
            dataset[index]


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="Did you mean 'dusk'") as caught:
        StreetsDataset("dsk")
    assert "noon" in str(caught.value)
    with pytest.raises(InputError, match="Did you mean 'train'"):
        StreetsDataset("noon", split="trian")
    with pytest.raises(InputError, match="too small"):
        StreetsDataset("noon", size=(8, 512))
    with pytest.raises(InputError, match="negative"):
        StreetsDataset("noon", length=-1)
    with pytest.raises(InputError, match="Known: noon, dusk"):
        drive("fog", frames=1)
    with pytest.raises(InputError, match="above 0"):
        drive("noon", frames=1, fps=0)
