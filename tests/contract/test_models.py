"""What every network must keep."""

from __future__ import annotations

import pytest
import torch

from cfcontra.errors import InputError
from cfcontra.models import MODELS, SegmentationModel, build_model

CLASSES = 7


# The same architectures as others here, only larger.
LARGE = {"deeplabv3plus-resnet101", "dpt-dinov2-base", "dpt-dinov3-base"}
LARGE |= {f"segformer-b{size}" for size in range(1, 6)}


def _each() -> list[object]:
    return [
        pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name
        for name in sorted(MODELS)
    ]


@pytest.fixture(scope="module", params=_each())
def model(request: pytest.FixtureRequest) -> SegmentationModel:
    torch.manual_seed(0)
    return build_model(request.param, CLASSES).eval()


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (33, 65), (97, 50)])
def test_shapes_at_any_size(model: SegmentationModel, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        images = torch.randn(2, 3, *size)
        output = model.forward_features(images)
        logits = model(images)
    height, width = output.logits.shape[-2:]
    assert abs(height - size[0] / model.output_stride) <= 1
    assert abs(width - size[1] / model.output_stride) <= 1
    assert output.logits.shape == (2, CLASSES, height, width)
    assert output.features.shape == (2, model.feature_channels, height, width)
    assert torch.equal(logits, output.logits)
    assert output.aux_logits is None or output.aux_logits.shape[1] == CLASSES


def test_parts_hold_every_parameter_once(model: SegmentationModel) -> None:
    parts = [id(p) for m in (model.encoder, model.decoder, model.head) for p in m.parameters()]
    assert sorted(parts) == sorted(id(p) for p in model.parameters())
    groups = model.parameter_groups(0.1, head_lr_factor=10)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert [group["lr"] for group in groups] == [0.1, 1.0]


def test_config_builds_the_same_network(model: SegmentationModel) -> None:
    twin = build_model(num_classes=CLASSES, **model.config())
    twin.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(twin.eval()(images), model(images))


def test_gradients_reach_every_trainable_parameter(model: SegmentationModel) -> None:
    model.train()
    output = model.forward_features(torch.randn(2, 3, 64, 64))
    total = output.logits.sum() + (0 if output.aux_logits is None else output.aux_logits.sum())
    total.backward()  # type: ignore[union-attr]
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    model.zero_grad()
    model.eval()
    assert without == []


def test_light_network_has_two_to_five_million_parameters() -> None:
    count = sum(p.numel() for p in build_model("light", 19).parameters())
    assert 2e6 <= count <= 5e6


def test_deeplab_normalisation_stays_frozen_in_training() -> None:
    model = build_model("deeplabv2-resnet101", CLASSES)
    before = {n: b.clone() for n, b in model.named_buffers()}
    model.train()
    model(torch.randn(1, 3, 64, 64))
    assert all(torch.equal(before[n], b) for n, b in model.named_buffers())


def test_bad_names_and_options() -> None:
    with pytest.raises(InputError, match="Did you mean 'light'"):
        build_model("lihgt", 3)
    with pytest.raises(InputError, match="does not take"):
        build_model("light", 3, depth=4)
    with pytest.raises(InputError, match="at least 2 classes"):
        build_model("light", 1)
