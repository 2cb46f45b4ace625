"""Motion, flicker and steady masks, against scenes whose motion and classes are known."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.serve.video.flicker import FlickerMeter
from cfcontra.serve.video.motion import MotionEstimator
from cfcontra.serve.video.smooth import MaskSmoother

SIZE = (240, 400)
RATE = 25


def texture(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A picture with detail everywhere, as motion needs it."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), 3)
    return np.asarray(cv2.normalize(noise, None, 20, 230, cv2.NORM_MINMAX, cv2.CV_8U), np.uint8)


def shifted(picture: NDArray[np.uint8], x: float, y: float) -> NDArray[np.uint8]:
    matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = picture.shape[::-1]
    return np.asarray(cv2.warpAffine(picture, matrix, size, borderMode=cv2.BORDER_REFLECT))


def test_flow_points_to_where_the_picture_was() -> None:
    estimator = MotionEstimator()
    before = texture(0)
    assert estimator(before) is None
    motion = estimator(shifted(before, 6.0, -4.0))
    assert motion is not None
    inner = np.s_[15:-15, 15:-15]
    moved = motion.then - motion.now
    np.testing.assert_allclose(np.median(moved[inner], axis=(0, 1)), [-6.0, 4.0], atol=0.3)
    assert np.mean(motion.trust[inner] >= 250) > 0.9
    dense = motion.dense(SIZE)
    assert dense.shape == (*SIZE, 2)
    np.testing.assert_allclose(dense[120, 200], [200 - 6.0, 120 + 4.0], atol=0.5)


def test_a_cut_and_a_new_size_are_not_followed() -> None:
    estimator = MotionEstimator()
    estimator(texture(0))
    cut = estimator(texture(1))
    assert cut is not None
    assert not cut.trust.any()
    assert estimator(texture(1, (120, 200))) is None


def test_a_change_of_exposure_is_no_change_of_the_scene() -> None:
    estimator = MotionEstimator()
    picture = cv2.convertScaleAbs(texture(0), alpha=0.6)
    estimator(picture)
    brighter = estimator(cv2.add(picture, 40.0))
    assert brighter is not None
    assert np.mean(brighter.trust) > 250


def test_flicker_is_the_share_of_changed_places_where_nothing_moved() -> None:
    rng = np.random.default_rng(0)
    meter, estimator = FlickerMeter(), MotionEstimator()
    picture = texture(0)
    masks = [rng.integers(0, 2, SIZE, dtype=np.uint8) for _ in range(4)]
    for mask in masks:
        meter.add(mask, estimator(picture))
    # Independent coin flips: a half changes from frame to frame.
    assert meter.share == pytest.approx(0.5, abs=0.01)


def test_classes_that_move_with_the_picture_do_not_flicker() -> None:
    meter, estimator = FlickerMeter(), MotionEstimator()
    picture = texture(0)
    classes = (picture > 128).astype(np.uint8)
    for step in range(5):
        meter.add(shifted(classes, 3 * step, 0), estimator(shifted(picture, 3 * step, 0)))
    assert meter.share is not None
    assert meter.share < 0.02
    still = FlickerMeter()
    for step in range(5):  # the same classes left where they were do
        still.add(classes, MotionEstimator()(picture) if not step else moved(picture, 3 * step))
    assert still.share is not None
    assert still.share > 0.1


def moved(picture: NDArray[np.uint8], x: int):  # type: ignore[no-untyped-def]
    estimator = MotionEstimator()
    estimator(shifted(picture, x - 3, 0))
    return estimator(shifted(picture, x, 0))


def test_votes_are_those_of_a_loop_over_pixels() -> None:
    rng = np.random.default_rng(3)
    size = (48, 64)
    picture = texture(2, size)
    masks = rng.integers(0, 3, (8, *size), dtype=np.uint8)
    confidences = rng.integers(60, 256, (8, *size), dtype=np.uint8)
    smoother = MaskSmoother()
    steady = [
        smoother.decide(picture, mask, confidence, Fraction(number, RATE))
        for number, (mask, confidence) in enumerate(zip(masks, confidences, strict=True))
    ]
    expected = votes_by_loop(masks, confidences)
    for mask, truth in zip(steady, expected, strict=True):
        # A tie within the rounding of a byte may fall either way.
        assert np.mean(mask == truth) > 0.97


def votes_by_loop(
    masks: NDArray[np.uint8], confidences: NDArray[np.uint8]
) -> list[NDArray[np.uint8]]:
    """The rule in plain floats, for a picture that stands still."""
    fading = np.exp(-1 / RATE / 0.3)
    kept, weight = masks[0].copy(), confidences[0] * 0.25
    shown = [kept.copy()]
    for mask, confidence in zip(masks[1:], confidences[1:], strict=True):
        for place in np.ndindex(mask.shape):
            old, vote = weight[place] * fading, confidence[place] * 0.25
            if mask[place] == kept[place]:
                weight[place] = min(255.0, old + vote)
            elif old > vote:
                weight[place] = old - vote
            else:
                kept[place], weight[place] = mask[place], vote - old
        shown.append(kept.copy())
    return shown


def noisy(
    masks: Iterator[NDArray[np.uint8]], share: float
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Masks with blocks of another class at random places, where the model is less sure."""
    rng = np.random.default_rng(5)
    for mask in masks:
        blocks = rng.random((mask.shape[0] // 8, mask.shape[1] // 8)) < share
        wrong = cv2.resize(blocks.astype(np.uint8), mask.shape[::-1], interpolation=0) > 0
        confidence = np.where(wrong, 130, 230).astype(np.uint8)
        yield np.where(wrong, 9, mask).astype(np.uint8), confidence


def test_noise_on_a_moving_scene_is_voted_down() -> None:
    picture = texture(0, (240, 600))
    classes = (picture > 128).astype(np.uint8)
    frames = [(picture[:, 2 * n : 400 + 2 * n], classes[:, 2 * n : 400 + 2 * n]) for n in range(20)]
    smoother = MaskSmoother()
    wrong_before, wrong_after = [], []
    said = noisy((truth for _, truth in frames), 0.1)
    for number, ((luma, truth), (mask, confidence)) in enumerate(zip(frames, said, strict=True)):
        steady = smoother.decide(
            np.ascontiguousarray(luma), mask, confidence, Fraction(number, RATE)
        )
        wrong_before.append(np.mean(mask != truth))
        wrong_after.append(np.mean(steady != truth))
    assert np.mean(wrong_before[5:]) > 0.08
    assert np.mean(wrong_after[5:]) < 0.04
    flicker = smoother.flicker
    assert flicker.before is not None
    assert flicker.after is not None
    assert flicker.after < flicker.before / 3


def test_a_moving_object_is_not_smeared() -> None:
    """A car of 60×40 pixels, 8 pixels a frame: shown where it is, and gone where it was."""
    background, car = texture(0), texture(7, (40, 60))
    smoother = MaskSmoother()
    confidence = np.full(SIZE, 230, np.uint8)
    overlaps = []
    for number in range(30):
        luma, truth = background.copy(), np.zeros(SIZE, np.uint8)
        left = 20 + 8 * number
        luma[100:140, left : left + 60] = car
        truth[100:140, left : left + 60] = 8
        steady = smoother.decide(luma, truth, confidence, Fraction(number, RATE))
        overlaps.append(
            np.count_nonzero((steady == 8) & (truth == 8))
            / np.count_nonzero((steady == 8) | (truth == 8))
        )
    assert np.mean(overlaps) > 0.95
    assert min(overlaps) > 0.9


def test_something_new_is_shown_at_once() -> None:
    background, thing = texture(0), texture(9, (60, 60))
    smoother = MaskSmoother()
    confidence = np.full(SIZE, 230, np.uint8)
    road = np.zeros(SIZE, np.uint8)
    for number in range(10):
        smoother.decide(background, road, confidence, Fraction(number, RATE))
    luma, truth = background.copy(), road.copy()
    luma[80:140, 200:260], truth[80:140, 200:260] = thing, 9
    shown = [
        np.mean(smoother.decide(luma, truth, confidence, Fraction(n, RATE))[80:140, 200:260] == 9)
        for n in (10, 11, 12)
    ]
    # Here and there a random texture looks like another one; never for long.
    assert shown[0] > 0.75
    assert shown[2] > 0.98


def test_after_a_cut_or_a_pause_the_mask_is_the_models() -> None:
    rng = np.random.default_rng(1)
    smoother = MaskSmoother()
    confidence = np.full(SIZE, 200, np.uint8)
    masks = [rng.integers(0, 11, SIZE, dtype=np.uint8) for _ in range(4)]
    smoother.decide(texture(0), masks[0], confidence, Fraction(0))
    smoother.decide(texture(0), masks[0], confidence, Fraction(1, RATE))
    cut = smoother.decide(texture(1), masks[1], confidence, Fraction(2, RATE))
    np.testing.assert_array_equal(cut, masks[1])
    later = smoother.decide(texture(1), masks[2], confidence, Fraction(5))
    np.testing.assert_array_equal(later, masks[2])
    smaller = smoother.decide(
        texture(1, (120, 200)), masks[3][:120, :200], confidence[:120, :200], Fraction(6)
    )
    np.testing.assert_array_equal(smaller, masks[3][:120, :200])


def test_masks_that_are_given_are_left_alone() -> None:
    smoother = MaskSmoother()
    confidence = np.full(SIZE, 200, np.uint8)
    first, second = np.zeros(SIZE, np.uint8), np.ones(SIZE, np.uint8)
    for number in range(4):
        smoother.decide(texture(0), first, confidence, Fraction(number, RATE))
    steady = smoother.decide(texture(0), second, confidence // 3, Fraction(4, RATE))
    assert not steady.any()
    assert second.all()
    assert not first.any()
