"""Losses, banks and pseudo-labels against naive float64 loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cfcontra.train.losses.contrastive import prototype_contrast
from cfcontra.train.losses.entropy import entropy_loss
from cfcontra.train.losses.segmentation import segmentation_loss
from cfcontra.train.projection_head import UnitLength
from cfcontra.train.prototype_bank import PrototypeBank, class_sums
from cfcontra.train.pseudo_labels import labels_by_confidence, labels_by_margin
from cfcontra.train.settings import StyleSettings
from cfcontra.train.style import build_style, restyle
from cfcontra.train.style.image_stats import match_image_stats

C, D, P, TAU = 5, 8, 60, 0.07


@pytest.fixture
def setting() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = F.normalize(torch.randn(P, D, generator=generator), dim=1)
    prototypes = F.normalize(torch.randn(C, D, generator=generator), dim=1)
    labels = torch.randint(0, C, (P,), generator=generator)
    labels[::7] = 255
    seen = torch.tensor([True, True, False, True, True])
    return features, labels, prototypes, seen


def _naive_terms(
    features: torch.Tensor, labels: torch.Tensor, prototypes: torch.Tensor, seen: torch.Tensor
) -> dict[int, list[float]]:
    z, p = features.double().numpy(), prototypes.double().numpy()
    terms: dict[int, list[float]] = {}
    for pixel, label in enumerate(labels.tolist()):
        if label == 255 or not bool(seen[label]):
            continue
        exponents = [z[pixel] @ p[c] / TAU for c in range(C) if bool(seen[c])]
        own = z[pixel] @ p[label] / TAU
        top = max(exponents)
        log_sum = top + math.log(sum(math.exp(e - top) for e in exponents))
        terms.setdefault(label, []).append(log_sum - own)
    return terms


def contrast(features, labels, prototypes, seen, *more, **options):  # type: ignore[no-untyped-def]
    """Against one bank."""
    (loss,) = prototype_contrast(features, labels, [(prototypes, seen)], *more, **options)
    return loss


def test_two_banks_at_once_are_each_by_itself(setting) -> None:  # type: ignore[no-untyped-def]
    features, labels, prototypes, seen = setting
    banks = [(prototypes, seen), (prototypes.flip(0), ~seen)]
    together = prototype_contrast(features, labels, banks, TAU)
    for loss, (rows, known) in zip(together, banks, strict=True):
        torch.testing.assert_close(loss, contrast(features, labels, rows, known, TAU))


def test_contrast_and_means_keep_float32_under_autocast(setting) -> None:  # type: ignore[no-untyped-def]
    features, labels, prototypes, _ = setting
    expected = contrast(*setting, TAU), class_sums(features, labels, len(prototypes))[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = contrast(*setting, TAU), class_sums(features, labels, len(prototypes))[0]
    assert torch.equal(expected[0], found[0]) and torch.equal(expected[1], found[1])


def test_contrast_against_a_loop_over_pixels(setting) -> None:  # type: ignore[no-untyped-def]
    terms = _naive_terms(*setting)
    plain = np.mean([value for values in terms.values() for value in values])
    balanced = np.mean([np.mean(values) for values in terms.values()])
    assert float(contrast(*setting, TAU)) == pytest.approx(plain, rel=1e-5)
    assert float(contrast(*setting, TAU, balance=True)) == pytest.approx(balanced, rel=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_contrast_gradient(setting, balance: bool) -> None:  # type: ignore[no-untyped-def]
    features, labels, prototypes, seen = setting
    features = features.clone().requires_grad_()
    contrast(features, labels, prototypes, seen, TAU, balance).backward()
    step = 1e-3
    for row, column in [(1, 0), (2, 3), (5, 7), (0, 0)]:
        shifted = features.detach().clone()
        shifted[row, column] += step
        up = _naive_terms(shifted, labels, prototypes, seen)
        shifted[row, column] -= 2 * step
        down = _naive_terms(shifted, labels, prototypes, seen)

        def mean(terms: dict[int, list[float]]) -> float:
            if balance:
                return float(np.mean([np.mean(values) for values in terms.values()]))
            return float(np.mean([v for values in terms.values() for v in values]))

        numeric = (mean(up) - mean(down)) / (2 * step)
        assert features.grad is not None
        assert float(features.grad[row, column]) == pytest.approx(numeric, abs=2e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("case", ["all ignored", "class absent", "empty bank"])
def test_contrast_stays_finite(setting, dtype: torch.dtype, case: str) -> None:  # type: ignore[no-untyped-def]
    features, labels, prototypes, seen = setting
    features = features.to(dtype).requires_grad_()
    if case == "all ignored":
        labels = torch.full_like(labels, 255)
    if case == "empty bank":
        seen = torch.zeros_like(seen)
    loss = contrast(features, labels, prototypes, seen, TAU, balance=True)
    loss.backward()
    assert torch.isfinite(loss) and features.grad is not None
    assert bool(torch.isfinite(features.grad).all())
    if case != "class absent":
        assert float(loss) == 0.0


def test_entropy_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, C, 4, 5, generator=generator)
    valid = torch.rand(2, 4, 5, generator=generator) < 0.6
    values = []
    for n, y, x in valid.nonzero().tolist():
        e = np.exp(logits[n, :, y, x].double().numpy())
        p = e / e.sum()
        values.append(float(-(p * np.log(p)).sum() / np.log(C)))
    assert float(entropy_loss(logits, valid)) == pytest.approx(np.mean(values), rel=1e-5)
    assert float(entropy_loss(torch.zeros(1, C, 2, 2), torch.ones(1, 2, 2).bool())) == (
        pytest.approx(1.0)
    )
    assert float(entropy_loss(logits, torch.zeros_like(valid))) == 0.0
    huge = torch.tensor([1e4, -1e4, 0.0]).view(1, 3, 1, 1).half().requires_grad_()
    loss = entropy_loss(huge, torch.ones(1, 1, 1).bool())
    loss.backward()
    assert float(loss) == 0.0 and huge.grad is not None and bool(torch.isfinite(huge.grad).all())


def test_segmentation_loss_matches_cross_entropy_and_survives_all_ignored() -> None:
    logits = torch.randn(2, C, 4, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.randint(0, C, (2, 4, 4), generator=torch.Generator().manual_seed(3))
    labels[0, 0] = 255
    weights = torch.rand(C) + 0.5
    for weight in (None, weights):
        expected = F.cross_entropy(logits, labels, weight=weight, ignore_index=255)
        assert float(segmentation_loss(logits, labels, weight)) == pytest.approx(
            float(expected), rel=1e-5
        )
        assert float(segmentation_loss(logits, torch.full_like(labels, 255), weight)) == 0.0


def test_bank_against_a_float64_loop() -> None:
    rng = np.random.default_rng(0)
    bank = PrototypeBank(C, D, momentum=0.9)
    expected = np.zeros((C, D))
    known = np.zeros(C, dtype=bool)
    for _ in range(6):
        z = rng.normal(size=(P, D))
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        labels = rng.integers(0, C - 1, size=P)  # the last class never comes
        labels[rng.random(P) < 0.3] = 255
        bank.update(*class_sums(torch.from_numpy(z).float(), torch.from_numpy(labels), C))
        for c in range(C):
            rows = z[labels == c]
            if not len(rows):
                continue
            mean = rows.mean(0)
            mean /= np.linalg.norm(mean)
            moved = 0.9 * expected[c] + 0.1 * mean if known[c] else mean
            expected[c], known[c] = moved / np.linalg.norm(moved), True
    assert np.allclose(bank.prototypes.numpy(), expected, atol=1e-6)
    assert bank.seen.tolist() == known.tolist() and not known[-1]


def test_bank_is_unchanged_by_an_empty_batch() -> None:
    bank = PrototypeBank(C, D, momentum=0.9)
    features = F.normalize(torch.randn(P, D), dim=1)
    bank.update(*class_sums(features, torch.arange(P) % C, C))
    before = bank.prototypes.clone()
    bank.update(*class_sums(features, torch.full((P,), 255), C))
    assert torch.equal(bank.prototypes, before)


def test_margin_labels_against_a_loop(setting) -> None:  # type: ignore[no-untyped-def]
    features, _, prototypes, seen = setting
    found = labels_by_margin(features, prototypes, seen, 0.2)
    similarity = (features.double() @ prototypes.double().t()).numpy()
    for row, label in zip(similarity, found.tolist(), strict=True):
        ranked = sorted(((s, c) for c, s in enumerate(row) if bool(seen[c])), reverse=True)
        expected = ranked[0][1] if ranked[0][0] - ranked[1][0] >= 0.2 else 255
        assert label == expected
    assert 0 < (found == 255).sum() < P
    lone = torch.tensor([True] + [False] * (C - 1))
    assert (labels_by_margin(features, prototypes, lone, 0.0) == 255).all()


def test_confidence_labels() -> None:
    logits = torch.log(torch.tensor([[0.95, 0.05], [0.6, 0.4]])).t().reshape(1, 2, 1, 2)
    assert labels_by_confidence(logits, 0.9).tolist() == [[[0, 255]]]


def test_image_stats_give_the_targets_statistics() -> None:
    generator = torch.Generator().manual_seed(0)
    source = 0.4 + 0.05 * torch.randn(2, 3, 30, 30, generator=generator)
    target = 0.5 + 0.1 * torch.randn(2, 3, 20, 20, generator=generator)
    styled = match_image_stats(source, target)
    for styled_stat, target_stat in [
        (styled.mean((2, 3)), target.mean((2, 3))),
        (styled.std((2, 3)), target.std((2, 3))),
    ]:
        assert torch.allclose(styled_stat, target_stat, atol=2e-3)
    flat = match_image_stats(torch.full((1, 3, 4, 4), 0.5), target[:1])
    assert bool(torch.isfinite(flat).all())


def test_restyle_keeps_the_share_that_it_must() -> None:
    source, target = torch.rand(400, 3, 2, 2), torch.rand(5, 3, 2, 2)
    settings = StyleSettings("image-stats", 0.25)
    styled = restyle(
        source, target, build_style(settings), settings.share, torch.Generator().manual_seed(0)
    )
    changed = (styled != source).flatten(1).any(1).float().mean()
    assert 0.18 < float(changed) < 0.32
    again = restyle(
        source, target, build_style(settings), settings.share, torch.Generator().manual_seed(0)
    )
    assert torch.equal(styled, again)
    assert restyle(source, target, build_style(StyleSettings()), 1.0, torch.Generator()) is source


def test_unit_length_is_normalize_and_its_gradient() -> None:
    rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).double()
    weights = torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).double()
    one, two = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    found, expected = UnitLength.apply(one), torch.nn.functional.normalize(two, dim=1)
    torch.testing.assert_close(found, expected)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)
    assert torch.autograd.gradcheck(UnitLength.apply, rows.clone().requires_grad_())
    assert bool(torch.isfinite(UnitLength.apply(torch.zeros(2, 5))).all())
