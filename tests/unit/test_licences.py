"""Terms of data and weights."""

from __future__ import annotations

from cfcontra.datasets.spec import KINDS
from cfcontra.licences import DATA, data_terms, weights_terms


def test_every_kind_of_data_has_terms() -> None:
    assert set(DATA) == set(KINDS)
    assert data_terms("synthia:/data/RAND,frames=0:9") == "CC BY-NC-SA 3.0"


def test_terms_of_weights() -> None:
    assert weights_terms("light", "") == "trained from scratch"
    assert weights_terms("segformer-b2", "imagenet").startswith("NVIDIA")
    assert weights_terms("segformer-b2", "mit_b2.pth") == "not stated: weights from a file"
    assert "publisher" in weights_terms("deeplabv2-resnet101", "imagenet")
