"""The certificate's counting, against hand-made predictions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.datasets.base import Sample
from cfcontra.errors import CheckFailedError
from cfcontra.export.certificate import Certificate, _rounded_down, certify
from cfcontra.export.frames import specs_or_synthetic
from cfcontra.export.tally import Tally
from cfcontra.export.worst_frames import WorstFrames
from cfcontra.label_space import LabelSpace
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.base import Backend, Prediction

SPACE = LabelSpace("three", ("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


class Painter(Backend):
    """Says what the red channel says, with some pixels of every frame changed."""

    def __init__(
        self, wrong: int = 0, to: int = 0, confidence: int = 200, score: float = 0.5
    ) -> None:
        self.metadata = ModelMetadata(SPACE, Preprocessing((100, 120)), {})
        self.device, self.runtime = "cpu", "painter"
        self._wrong, self._to, self._confidence = wrong, to, confidence
        self._score = score

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        mask = frames[..., 0] // 100
        mask.reshape(len(mask), -1)[:, : self._wrong] = self._to
        scores = np.full((len(mask), 3), self._score, np.float32)
        return Prediction(mask, np.full_like(mask, self._confidence), scores)


def sample(label: bool = False) -> Sample:
    image = np.zeros((200, 240, 3), np.uint8)
    image[:100], image[100:] = 100, 201
    return Sample(image, image[..., 0] // 100 if label else None, "/some/where/first.png")


def issue(
    exported: Backend, *, label: bool = False, reference: Backend | None = None
) -> Certificate:
    return certify(reference or Painter(), exported, [sample(label)], {}, lambda _: None)


def test_equal_predictions_pass() -> None:
    certificate = issue(Painter(), label=True)
    assert certificate.failures() == []
    assert certificate.agreement == 1.0
    assert certificate.class_agreement == {"a": None, "b": 1.0, "c": 1.0}
    assert certificate.miou == {"checkpoint": 1.0, "exported": 1.0, "difference": 0.0}


def test_sizes_are_own_odd_and_working_in_single_and_larger_batches() -> None:
    rows = issue(Painter()).sizes
    assert [(row.size, row.batch, row.frames) for row in rows] == [
        ("200x240", 1, 1),
        ("121x161", 2, 2),
        ("100x120", 2, 2),
    ]


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (1, True), (4, True), (5, False)])
def test_one_pixel_in_ten_thousand_is_the_limit(wrong: int, passes: bool) -> None:
    """200×240 holds 48 000 pixels, of which 4.8 may differ; smaller sizes see fewer."""
    own = issue(Painter(wrong)).sizes[0]
    assert own.agreement == pytest.approx(1 - wrong / 48_000)
    assert (own.agreement >= 0.9999) == passes
    assert passes or issue(Painter(wrong)).failures()


def test_a_failure_names_size_share_and_class() -> None:
    failures = issue(Painter(2400)).failures()
    assert failures[0] == "masks agree on 95.0000% of the pixels at 200x240 (99.99% needed)"
    assert any("class 'b'" in text for text in failures)


def test_confidence_is_held_to_its_own_limits() -> None:
    failures = issue(Painter(confidence=194)).failures()
    assert any("by up to 6 of 255" in text for text in failures)
    assert any("6.00 of 255 on average" in text for text in failures)
    assert issue(Painter(confidence=194)).agreement == 1.0


def test_frame_scores_are_held_to_a_limit() -> None:
    assert issue(Painter(score=0.5005)).failures() == []
    assert issue(Painter(score=0.5005)).summary()["frame_scores_max"] == pytest.approx(0.0005)
    for wrong in (0.51, float("nan")):
        (first, *_) = issue(Painter(score=wrong)).failures()
        assert "frame scores differ" in first and "200x240" in first


def test_labels_give_both_miou_and_their_difference() -> None:
    certificate = issue(Painter(2400), label=True)
    assert certificate.miou is not None
    # 2400 of b's 24 000 pixels became a: IoU a 0, b 0.9, c 1.
    assert certificate.miou["exported"] == pytest.approx(1.9 / 3, abs=1e-6)
    assert any("mIoU changes by -0.3667" in text for text in certificate.failures())


def test_a_class_that_does_not_exist_fails() -> None:
    with pytest.raises(CheckFailedError, match="train id 7"):
        issue(Painter(1, to=7), label=True)


def test_the_certificate_holds_no_folder() -> None:
    assert issue(Painter(3)).worst["frame"] == "first.png"


def test_the_worst_frame_is_the_one_that_agrees_least() -> None:
    tally = Tally("2x2", 1, 3)
    zeros = np.zeros((2, 2), np.uint8)
    tally.add(zeros, zeros, zeros, zeros, "good")
    tally.add(zeros, np.array([[1, 0], [0, 0]], np.uint8), zeros, zeros, "bad")
    tally.add(zeros, zeros, zeros, zeros + 9, "vague")
    assert (tally.worst.frame, tally.worst.agreement) == ("bad", 0.75)
    assert tally.result()["confidence_mean"] == 3.0
    assert tally.class_total.tolist() == [12, 0, 0]
    assert tally.class_equal.tolist() == [11, 0, 0]


def test_the_worst_frames_are_drawn_worst_first() -> None:
    worst = WorstFrames(count=2)
    mask = np.zeros((50, 100), np.uint8)
    for wrong in (0, 500, 4000, 1000):
        found = mask.copy()
        found.reshape(-1)[:wrong] = 7  # an id that no class has
        confidences = mask, mask + np.uint8(9 * (wrong == 1000))
        worst.add(np.full((50, 100, 3), wrong // 20, np.uint8), (mask, found), confidences)
    picture = worst.draw(SPACE)
    assert picture.shape == (2 * 240, 4 * 480, 3)
    assert picture[0, 0].tolist() == [200] * 3 and picture[-1, 0].tolist() == [50] * 3
    red = (picture[:, 3 * 480 :] == (230, 30, 30)).all(axis=2)
    assert red[:240].mean() == pytest.approx(4000 / 5000, abs=0.01)
    assert red[240:].mean() == pytest.approx(1000 / 5000, abs=0.01)
    assert picture[-1, -1].tolist() == [230, 150, 30]  # the same class, less sure
    assert not picture[0, 2 * 480 : 3 * 480].any()


def test_one_frame_needs_no_second_street() -> None:
    assert [len(specs_or_synthetic(None, count)) for count in (0, 1, 2, 8)] == [1, 1, 2, 2]
    assert specs_or_synthetic(["folder:a", "folder:b"], 1) == ["folder:a", "folder:b"]


def test_what_was_rounded_stays_as_it_is() -> None:
    shares = np.arange(10**6 + 1) / 1e6
    assert all(_rounded_down(float(share)) == share for share in shares[::97])
    assert _rounded_down(1 - 1e-9) == 0.999999
