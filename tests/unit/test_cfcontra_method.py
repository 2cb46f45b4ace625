"""The method as a whole, above all what the authors' code got wrong."""

from __future__ import annotations

import pytest
import torch

from cfcontra.checkpoint import Checkpoint
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import SegmentationModel, build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.train.methods import METHODS, Method, StepInput, build_method
from cfcontra.train.methods.contrast import Contrast
from cfcontra.train.module import AdaptationModule
from cfcontra.train.recipe import Recipe, Stage
from cfcontra.train.settings import ContrastSettings, MaskingSettings

SPACE = LABEL_SPACES["camvid11"]


def _batch(seed: int = 0, ignored: bool = False) -> StepInput:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (2, 8, 8), generator=generator)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    images = torch.randn(2, 3, 64, 64, generator=generator) * 0.2 + labels[:, None]
    target = torch.randn(2, 3, 64, 64, generator=generator) * 0.2 - labels[:, None] + 2
    if ignored:
        labels = torch.full_like(labels, 255)
    return StepInput(images, labels, target, torch.ones(2, 64, 64, dtype=torch.bool))


def _method(**settings: object) -> tuple[SegmentationModel, Method, Contrast]:
    torch.manual_seed(0)
    model = build_model("light", SPACE.num_classes)
    stage = Stage(method="cfcontra", contrast=ContrastSettings(**settings))  # type: ignore[arg-type]
    method = build_method(model, stage, None)
    contrast = next(term for term in method.terms if isinstance(term, Contrast))
    return model, method, contrast


def _module(method: str = "cfcontra", model: str = "light") -> AdaptationModule:
    network = build_model(model, SPACE.num_classes)
    metadata = ModelMetadata(SPACE, Preprocessing((64, 64)), network.config())
    stage = Stage(method=method)  # type: ignore[arg-type]
    return AdaptationModule(Checkpoint(network, metadata), Recipe(), stage)


@pytest.mark.parametrize("model", ["light", "deeplabv2-resnet101"])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_trainable_parameter_is_in_the_optimiser_once(method: str, model: str) -> None:
    module = _module(method, model)
    optimizer = module.configure_optimizers()["optimizer"]
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(p) for p in module.parameters() if p.requires_grad}


def test_projection_head_is_trained() -> None:
    model, method, contrast = _method()
    method.prepare(model, [_batch(0)])
    before = [p.detach().clone() for p in contrast.head.parameters()]
    optimizer = torch.optim.SGD([*model.parameters(), *contrast.head.parameters()], lr=0.1)
    sum(method.losses(model, _batch(1), 0).values()).backward()  # type: ignore[union-attr]
    optimizer.step()
    assert all(
        not torch.equal(a, b) for a, b in zip(before, contrast.head.parameters(), strict=True)
    )


def test_banks_start_from_data_and_stay_apart() -> None:
    """Each bank follows its own domain: after many steps they have not merged."""
    model, method, contrast = _method(head="none", pseudo_labels="confidence", threshold=0.0)
    method.prepare(model, [_batch(0)])
    assert bool(contrast.source_bank.seen[:4].all())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for step in range(30):
        optimizer.zero_grad()
        sum(method.losses(model, _batch(step), step).values()).backward()  # type: ignore[union-attr]
        optimizer.step()
        method.commit(model)
    model.eval()
    cosine = method.measures()["bank_cosine"]
    assert cosine < 0.99


def test_each_bank_follows_only_its_domain() -> None:
    model, method, contrast = _method()
    method.prepare(model, [_batch(0)])
    source, target = (
        contrast.source_bank.prototypes.clone(),
        contrast.target_bank.prototypes.clone(),
    )
    batch = _batch(1, ignored=True)  # no source pixel counts
    method.losses(model, batch, 0)
    method.commit(model)
    assert torch.equal(contrast.source_bank.prototypes, source)
    assert not torch.equal(contrast.target_bank.prototypes, target)


def test_banks_change_on_commit_only() -> None:
    model, method, contrast = _method()
    method.prepare(model, [_batch(0)])
    before = contrast.source_bank.prototypes.clone()
    sum(method.losses(model, _batch(1), 0).values()).backward()  # type: ignore[union-attr]
    assert torch.equal(contrast.source_bank.prototypes, before)
    method.commit(model)
    moved = contrast.source_bank.prototypes.clone()
    assert not torch.equal(moved, before)
    method.commit(model)  # a second commit without a step does nothing
    assert torch.equal(contrast.source_bank.prototypes, moved)


def test_prototypes_take_no_gradient() -> None:
    _, _, contrast = _method()
    names = {name for name, _ in contrast.named_parameters()}
    assert all(name.startswith("head.") for name in names)
    assert {"source_bank.prototypes", "target_bank.prototypes"} <= set(contrast.state_dict())


def test_all_ignored_source_gives_finite_losses_and_gradients() -> None:
    model, method, _ = _method()
    losses = method.losses(model, _batch(0, ignored=True), 0)
    total = sum(losses.values())
    total.backward()  # type: ignore[union-attr]
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_four_terms_and_warm_up() -> None:
    torch.manual_seed(0)
    model = build_model("light", SPACE.num_classes)
    masking = MaskingSettings(weight=1.0)
    method = build_method(model, Stage(method="cfcontra", target_warmup=5, masking=masking), None)
    names = {"source_to_source", "target_to_target", "target_to_source", "source_to_target"}
    method.prepare(model, [_batch(0)])
    early, late = (set(method.losses(model, _batch(0), step)) for step in (4, 5))
    assert early == {"segmentation", "contrast_source_to_source"}
    assert late == {f"contrast_{name}" for name in names} | {"segmentation", "entropy", "masking"}


def test_methods_nest_as_the_ablation_says() -> None:
    """source-only ⊂ minent ⊂ cfcontra: each adds its own named losses."""
    names = {}
    for name in METHODS:
        torch.manual_seed(0)
        model = build_model("light", SPACE.num_classes)
        method = build_method(model, Stage(method=name), None)  # type: ignore[arg-type]
        method.prepare(model, [_batch(0)])
        names[name] = set(method.losses(model, _batch(0), 0))
    assert names["source-only"] == {"segmentation"}
    assert names["minent"] - names["source-only"] == {"entropy"}
    assert names["cfcontra"] > names["minent"]
    assert all(n.startswith("contrast_") for n in names["cfcontra"] - names["minent"])
    assert names["advent"] == {"segmentation", "adversarial", "discriminator"}
    assert names["self-training"] == {"segmentation", "mixing"}


def test_published_settings_are_the_defaults_of_the_contrast() -> None:
    settings = ContrastSettings()
    assert (settings.temperature, settings.momentum, settings.margin) == (0.07, 0.9, 0.05)
    weights = {
        settings.source_to_source,
        settings.target_to_target,
        settings.target_to_source,
        settings.source_to_target,
    }
    assert weights == {0.001}
    assert (Stage().entropy.weight, Stage().entropy.aux_weight) == (0.001, 0.0002)
