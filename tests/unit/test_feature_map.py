"""Class features and their principal components, against NumPy and loops."""

from __future__ import annotations

import re

import numpy as np
import torch

from cfcontra.label_space import LABEL_SPACES
from cfcontra.train.feature_map import (
    ClassPoints,
    Plane,
    class_means,
    draw_feature_map,
    labels_where,
    principal_components,
)

SPACE = LABEL_SPACES["camvid11"]


def test_principal_components_are_those_of_the_covariance() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(50, 6, generator=generator) * torch.tensor([3.0, 1, 5, 1, 1, 1])
    mean, directions = principal_components(vectors)
    np.testing.assert_allclose(mean, vectors.double().mean(0))
    _, found = np.linalg.eigh(np.cov(vectors.double().numpy().T))
    for direction, expected in zip(directions.numpy(), found.T[::-1][:2], strict=True):
        sign = np.sign(expected[np.abs(expected).argmax()])
        np.testing.assert_allclose(direction, sign * expected, atol=1e-9)


def test_class_means_against_a_loop_over_pixels() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 4, 6, generator=generator)
    labels = torch.randint(0, 4, (2, 4, 6), generator=generator)
    labels[labels == 3] = 255
    found = class_means("source", features, labels, SPACE.num_classes)
    row = 0
    for frame in range(2):
        for index in sorted(set(labels[frame].flatten().tolist()) - {255}):
            pixels = [
                features[frame, :, y, x].double()
                for y in range(4)
                for x in range(6)
                if labels[frame, y, x] == index
            ]
            mean = torch.stack(pixels).mean(0)
            assert found.classes[row] == index
            expected = (mean / mean.norm()).float()
            torch.testing.assert_close(found.vectors[row], expected, rtol=1e-4, atol=1e-5)
            row += 1
    assert row == len(found.classes)


def test_the_drawing_holds_every_point_and_says_what_it_is() -> None:
    vectors = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 2, 3, 4, 5, 6])
    kinds = ("source", "target", "source prototype", "target prototype")
    points = [ClassPoints(kind, vectors, classes) for kind in kinds]
    drawn = draw_feature_map("a <map>", points, Plane.through(points), SPACE)
    assert drawn.count("<circle") == drawn.count("<rect") == 7 and drawn.count("<path") == 14
    assert "a &lt;map&gt;" in drawn and "<title>sign symbol, target</title>" in drawn
    assert "nan" not in drawn


def test_ignored_pixels_get_no_predicted_class() -> None:
    ids = torch.tensor([[[0, 255], [0, 0]]])
    predicted = torch.tensor([[[4, 5], [6, 7]]])
    assert labels_where(ids, predicted).tolist() == [[[4, 255], [6, 7]]]


def test_what_stays_between_two_maps_of_a_plane_is_drawn_at_the_same_place() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(5)
    still = ClassPoints("prototype", torch.randn(5, 6, generator=generator), classes)
    first, then = (
        ClassPoints("source", torch.randn(5, 6, generator=generator) * far, classes)
        for far in (1.0, 4.0)
    )
    plane = Plane.through([first, still, then, still])
    maps = [draw_feature_map("m", [moved, still], plane, SPACE) for moved in (first, then)]
    stars = [re.findall(r'<path d="([^"]*)"', drawn) for drawn in maps]
    circles = [re.findall(r"<circle[^>]*>", drawn) for drawn in maps]
    assert len(stars[0]) == 5 and stars[0] == stars[1]
    assert len(circles[0]) == 5 and circles[0] != circles[1]
    everything = torch.cat([first.vectors, still.vectors, then.vectors, still.vectors])
    mean, directions = principal_components(everything)
    flat = ((everything.double() - mean) @ directions.t()).numpy()
    expected = (flat[5:10] - flat.min(0)) / np.ptp(flat, axis=0)
    np.testing.assert_allclose(plane.places(still.vectors), expected, atol=1e-12)
