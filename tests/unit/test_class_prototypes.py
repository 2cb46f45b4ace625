"""Class prototypes at the end of a run, against loops over pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cfcontra.datasets import open_dataset
from cfcontra.label_space import LABEL_SPACES
from cfcontra.models import ModelOutput, SegmentationModel
from cfcontra.preprocessing import Preprocessing
from cfcontra.train.class_prototypes import class_prototypes

SIZE = (40, 60)


class Shifted(SegmentationModel):
    """Features are the image itself, one longer; logits are decided by the red channel."""

    def __init__(self) -> None:
        super().__init__()
        self.out_classes, self.feature_channels, self.output_stride = 11, 4, 1
        self.weight = nn.Parameter(torch.zeros(1))

    def forward_features(self, images: Tensor) -> ModelOutput:
        features = torch.cat([images, torch.ones_like(images[:, :1])], dim=1)
        classes = (images[:, 0] * 255).long() % 3
        logits = 9.0 * nn.functional.one_hot(classes, 11).permute(0, 3, 1, 2).float()
        logits[:, :, : SIZE[0] // 4] *= 0.2  # unsure at the top
        return ModelOutput(logits, features)


@pytest.fixture
def folders(make_folder: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path]:
    return (
        make_folder(tmp_path / "day", size=SIZE),
        make_folder(tmp_path / "dusk", size=SIZE, seed=5, labelled=False),
    )


def _by_hand(folder: Path, target: bool) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    spec = f"folder:{folder}"
    dataset = open_dataset(spec, LABEL_SPACES["camvid11"], labelled=not target)
    sums, counts = np.zeros((11, 4)), np.zeros(11)
    for index in range(len(dataset)):
        sample = dataset[index]
        for i in range(SIZE[0]):
            for j in range(SIZE[1]):
                if target and i < SIZE[0] // 4:
                    continue
                pixel = np.append(sample.image[i, j] / 255.0, 1.0)
                own = sample.image[i, j, 0] % 3 if target else sample.label[i, j]  # type: ignore[index]
                sums[own] += pixel / np.linalg.norm(pixel)
                counts[own] += 1
    return sums, counts


def test_sources_labels_without_a_target(folders: tuple[Path, Path]) -> None:
    source = open_dataset(f"folder:{folders[0]}", LABEL_SPACES["camvid11"])
    found = class_prototypes(Shifted().eval(), source, None, Preprocessing(SIZE), lambda x: x)
    sums, counts = _by_hand(folders[0], target=False)
    for name in range(11):
        if counts[name]:
            expected = sums[name] / np.linalg.norm(sums[name])
            assert np.abs(found.prototypes[name].numpy() - expected).max() < 1e-5
        else:
            assert not found.prototypes[name].any()
    assert found.domains == tuple("source" if count else "none" for count in counts)


def test_the_targets_sure_pixels_where_there_are_enough(folders: tuple[Path, Path]) -> None:
    source = open_dataset(f"folder:{folders[0]}", LABEL_SPACES["camvid11"])
    target = open_dataset(f"folder:{folders[1]}", LABEL_SPACES["camvid11"], labelled=False)
    found = class_prototypes(Shifted().eval(), source, target, Preprocessing(SIZE), lambda x: x)
    sums, counts = _by_hand(folders[1], target=True)
    taken = [name for name in range(11) if counts[name] >= 100]
    assert 1 <= len(taken) <= 3
    for name in taken:
        expected = sums[name] / np.linalg.norm(sums[name])
        assert np.abs(found.prototypes[name].numpy() - expected).max() < 1e-5
    assert [name for name in range(11) if found.domains[name] == "target"] == taken
    assert "source" in found.domains
    record = found.record(LABEL_SPACES["camvid11"].classes)
    assert record["target"] == [LABEL_SPACES["camvid11"].classes[name] for name in taken]
