"""Class counts, the weights that come of them, and rare-class sampling."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from cfcontra.datasets import Sample, SegmentationDataset
from cfcontra.label_space import LABEL_SPACES
from cfcontra.train.class_statistics import (
    ClassStatistics,
    RareClassSampler,
    class_weights,
    count_classes,
)


class Stripes(SegmentationDataset):
    """Frame i: class 0 but for i pixels of class 1 and one ignored; class 2 in frame 3 only."""

    label_space, labelled = LABEL_SPACES["camvid11"], True

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:
        label = np.zeros((4, 5), dtype=np.uint8)
        label.flat[:index] = 1
        label[3, 4] = 255
        if index == 3:
            label[3, 0] = 2
        return Sample(np.zeros((4, 5, 3), dtype=np.uint8), label, str(index))


def test_counts_and_missing_classes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        statistics = count_classes(Stripes(), 100)
    assert statistics.counts[:, :3].tolist() == [
        [19, 0, 0],
        [18, 1, 0],
        [17, 2, 0],
        [15, 3, 1],
        [15, 4, 0],
        [14, 5, 0],
    ]
    assert "no pixel of road, pavement" in caplog.text
    assert "in any of the source's 6 frames" in caplog.text
    assert count_classes(Stripes(), 2).frames.tolist() == [0, 5]


def test_a_class_outside_the_sample_is_not_missing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame 3 alone shows class 2, the pole; the sample is frames 0 and 5."""
    with caplog.at_level(logging.WARNING):
        statistics = count_classes(Stripes(), 2)
    assert statistics.counts.tolist() == [[19, *[0] * 10], [14, 5, *[0] * 9]]
    assert "no pixel of road" in caplog.text and "pole" not in caplog.text
    caplog.clear()
    monkeypatch.setattr("cfcontra.train.class_statistics._SEARCHED", 1)
    with caplog.at_level(logging.WARNING):
        count_classes(Stripes(), 2)
    assert "no pixel of pole, road" in caplog.text
    assert "in 3 sampled of the source's 6 frames" in caplog.text


def test_weights_follow_the_exponent() -> None:
    statistics = ClassStatistics(np.array([0]), np.array([[800, 100, 0, 100]]))
    weights = class_weights(statistics, 0.5).double().numpy()
    raw = np.array([0.8, 0.1, 0.1]) ** -0.5
    expected = raw / (raw * [0.8, 0.1, 0.1]).sum()
    assert np.allclose(weights[[0, 1, 3]], expected)
    assert weights[2] == 1.0


def test_rare_classes_are_drawn_as_the_formula_says() -> None:
    statistics = count_classes(Stripes(), 100)
    sampler = RareClassSampler(statistics, 0.5)
    frequency = statistics.counts.sum(0) / statistics.counts.sum()
    expected = np.exp((1 - frequency) / 0.5) * (frequency > 0)
    assert np.allclose(sampler.chances, expected / expected.sum())
    rng = np.random.default_rng(0)
    drawn = np.bincount([sampler.draw(rng) for _ in range(6000)], minlength=6) / 6000
    chances = sampler.chances
    shows_one = np.array([0, 1, 1, 1, 1, 1]) / 5
    exact = chances[0] / 6 + chances[1] * shows_one + chances[2] * (np.arange(6) == 3)
    assert np.abs(drawn - exact).max() < 0.02


def test_a_low_temperature_takes_the_rarest_only() -> None:
    sampler = RareClassSampler(count_classes(Stripes(), 100), 0.001)
    rng = np.random.default_rng(0)
    assert {sampler.draw(rng) for _ in range(50)} == {3}
