"""Label-free scores against naive loops and closed forms in float64."""

from __future__ import annotations

import math

import pytest
import torch

from cfcontra.train import label_free

C = 4


@pytest.fixture
def probabilities() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(30, C, generator=generator).mul(2).softmax(dim=1)


def naive_entropy(row: list[float]) -> float:
    return -sum(p * math.log(p) for p in row if p > 0)


def test_certainty(probabilities: torch.Tensor) -> None:
    rows = probabilities.double().tolist()
    mean = sum(naive_entropy(row) for row in rows) / len(rows)
    assert label_free.certainty(probabilities) == pytest.approx(1 - mean / math.log(C), abs=1e-6)
    assert label_free.certainty(torch.eye(C)) == pytest.approx(1.0)
    assert label_free.certainty(torch.full((5, C), 1 / C)) == pytest.approx(0.0, abs=1e-6)


def test_mutual_information(probabilities: torch.Tensor) -> None:
    rows = probabilities.double()
    mean = sum(naive_entropy(row) for row in rows.tolist()) / len(rows)
    expected = (naive_entropy(rows.mean(0).tolist()) - mean) / math.log(C)
    assert label_free.mutual_information(probabilities) == pytest.approx(expected, abs=1e-6)
    assert label_free.mutual_information(torch.eye(C)) == pytest.approx(1.0)
    one_class = torch.eye(C)[[0, 0, 0]]
    assert label_free.mutual_information(one_class) == pytest.approx(0.0, abs=1e-6)


def test_neighbourhood_density(probabilities: torch.Tensor) -> None:
    rows = [[p / math.hypot(*row) for p in row] for row in probabilities.double().tolist()]
    total = 0.0
    for i, one in enumerate(rows):
        near = [
            math.exp(sum(a * b for a, b in zip(one, other, strict=True)) / 0.05)
            for j, other in enumerate(rows)
            if j != i
        ]
        total += naive_entropy([value / sum(near) for value in near])
    density = label_free.neighbourhood_density(probabilities)
    assert density == pytest.approx(total / len(rows), abs=1e-4)


def test_class_agreement_is_the_mean_iou_over_named_classes() -> None:
    one = torch.tensor([0, 0, 1, 1, 3, 3])
    two = torch.tensor([0, 1, 1, 1, 3, 0])
    # class 0: 1 of 3; class 1: 2 of 3; class 2: named by neither; class 3: 1 of 2
    expected = (1 / 3 + 2 / 3 + 1 / 2) / 3
    assert label_free.class_agreement(one, two, C) == pytest.approx(expected)
    assert label_free.class_agreement(one, one, C) == 1.0


def test_clusters_have_a_higher_hopkins_statistic_than_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(400, 2, generator=generator)
    clusters = torch.randint(0, 3, (400, 1), generator=generator) + 0.01 * noise
    found = [
        label_free.clustering_tendency(features, torch.Generator().manual_seed(1))
        for features in (noise, clusters)
    ]
    assert found[0] == pytest.approx(0.5, abs=0.08)
    assert found[1] > 0.9


def test_unevenness_of_a_simplex_is_zero_and_of_equal_vectors_the_whole_angle() -> None:
    simplex = torch.eye(C) - 1 / C
    assert label_free.unevenness(simplex) == pytest.approx(0.0, abs=1e-6)
    assert label_free.unevenness(torch.ones(C, 3)) == pytest.approx(
        math.acos(-1 / (C - 1)), abs=1e-6
    )
