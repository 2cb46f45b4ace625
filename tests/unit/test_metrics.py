from __future__ import annotations

import numpy as np
import pytest

from cfcontra.label_space import LABEL_SPACES
from cfcontra.metrics import SegmentationScore


def test_scores_against_a_pixel_loop() -> None:
    rng = np.random.default_rng(0)
    space = LABEL_SPACES["camvid11"]
    score = SegmentationScore(space)
    frames = []
    for _ in range(3):
        label = rng.integers(0, 9, size=(13, 17), dtype=np.uint8)  # classes 9, 10 never true
        mask = rng.integers(0, 10, size=(13, 17), dtype=np.uint8)  # class 10 nowhere
        label[rng.random(label.shape) < 0.2] = 255
        frames.append((mask, label))
        score.update(mask, label)
    expected = []
    for c in range(space.num_classes):
        inter = sum(int(((m == c) & (t == c)).sum()) for m, t in frames)
        union = sum(int((((m == c) & (t != 255)) | (t == c)).sum()) for m, t in frames)
        expected.append(inter / union if union else float("nan"))
    result = score.compute()
    assert np.allclose(list(result.class_iou.values()), expected, equal_nan=True)
    assert result.miou == pytest.approx(np.nanmean(expected))
    assert np.isnan(expected[10]) and expected[9] == 0
    right = sum(int((m == t).sum()) for m, t in frames)
    assert result.pixel_accuracy == pytest.approx(
        right / sum(int((t != 255).sum()) for _, t in frames)
    )
    assert result.to_dict()["class_iou"]["bicyclist"] is None


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        SegmentationScore(LABEL_SPACES["camvid11"]).update(
            np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8)
        )
