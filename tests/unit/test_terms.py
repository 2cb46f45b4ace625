"""What the terms beside CFContra's own compute, against oracles written out."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from cfcontra.models import ModelOutput, SegmentationModel, build_model
from cfcontra.train.class_mix import choose_classes, mix
from cfcontra.train.discriminator import Discriminator
from cfcontra.train.losses.entropy import entropy_loss, self_information
from cfcontra.train.methods import Method, StepInput, build_method
from cfcontra.train.methods.adversarial import Adversarial
from cfcontra.train.methods.masking import patch_mask
from cfcontra.train.pixel_sampling import sample_per_class
from cfcontra.train.prototype_bank import PrototypeBank
from cfcontra.train.recipe import Stage
from cfcontra.train.settings import (
    AdversarialSettings,
    ContrastSettings,
    MaskingSettings,
    MixingSettings,
    StyleSettings,
    TeacherSettings,
)
from cfcontra.train.strong_light import relight
from cfcontra.train.style import build_style, restyle
from cfcontra.train.style.fourier import swap_low_frequencies
from cfcontra.train.teacher import Teacher


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def step_input(seed: int = 0) -> StepInput:
    rng = generator(seed)
    labels = torch.randint(0, 4, (2, 8, 8), generator=rng)
    labels = labels.repeat_interleave(8, 1).repeat_interleave(8, 2)
    source, target = torch.rand(2, 2, 3, 64, 64, generator=rng)
    return StepInput(source, labels, target, torch.ones(2, 64, 64, dtype=torch.bool), rng)


def method_of(**settings: object) -> tuple[SegmentationModel, Method]:
    torch.manual_seed(0)
    model = build_model("light", 11)
    return model, build_method(model, Stage(**settings), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("height", "width", "beta"), [(32, 48, 0.1), (33, 41, 0.09), (16, 16, 0.01)]
)
def test_fourier_style_against_the_centred_spectrum(height: int, width: int, beta: float) -> None:
    """Oracle: the full spectrum, shifted to the centre, its square replaced, in NumPy."""
    source, target = torch.rand(2, 3, height, width, generator=generator()).double().numpy()
    shifted = [
        np.fft.fftshift(np.fft.fft2(x, axes=(-2, -1)), axes=(-2, -1)) for x in (source, target)
    ]
    amplitude, phase = np.abs(shifted[0]), np.angle(shifted[0])
    reach, row, column = int(beta * min(height, width)), height // 2, width // 2
    square = np.s_[:, row - reach : row + reach + 1, column - reach : column + reach + 1]
    amplitude[square] = np.abs(shifted[1])[square]
    back = np.fft.ifftshift(amplitude * np.exp(1j * phase), axes=(-2, -1))
    expected = np.real(np.fft.ifft2(back, axes=(-2, -1))).clip(0, 1)
    got = swap_low_frequencies(torch.tensor(source)[None], torch.tensor(target)[None], beta)
    assert np.abs(got[0].numpy() - expected).max() < 1e-5


def test_fourier_style_is_one_setting_away() -> None:
    source, target = torch.rand(2, 4, 3, 16, 24, generator=generator())
    settings = StyleSettings(name="fourier", beta=0.1, share=1.0)
    styled = restyle(source, target, build_style(settings), settings.share, generator(1))
    partners_mean = styled.mean(dim=(2, 3))
    assert not torch.allclose(styled, source)
    # The mean is the lowest frequency: it is one of the targets' (but for the clipping).
    distances = (partners_mean[:, None] - target.mean(dim=(2, 3))[None]).abs().amax(2).amin(1)
    assert distances.max() < 0.01


def test_self_information_sums_to_the_entropy() -> None:
    logits = torch.randn(2, 5, 6, 7, generator=generator()) * 3
    probabilities = logits.double().softmax(1)
    expected = -probabilities * probabilities.log() / math.log(5)
    assert torch.allclose(self_information(logits).double(), expected, atol=1e-6)
    valid = torch.ones(2, 6, 7, dtype=torch.bool)
    mean = self_information(logits).sum(1).mean()
    assert torch.isclose(mean, entropy_loss(logits, valid))


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (64, 33)])
def test_discriminator_takes_maps_of_any_size(size: tuple[int, int]) -> None:
    assert Discriminator(5)(torch.rand(2, 5, *size)).shape[:2] == (2, 1)


def test_network_and_discriminator_pull_apart() -> None:
    """The adversarial loss moves the network only, the discriminator's only itself."""
    model, method = method_of(method="advent")
    discriminator = method.terms[1].discriminator
    assert isinstance(discriminator, Discriminator)
    losses = method.losses(model, step_input(), 0)
    losses["adversarial"].backward(retain_graph=True)
    assert all(p.grad is None for p in discriminator.parameters())
    assert any(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
    for parameter in model.parameters():
        parameter.grad = None
    losses["discriminator"].backward()
    assert all(p.grad is not None for p in discriminator.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_a_trained_discriminator_tells_the_domains_apart() -> None:
    model, method = method_of(method="advent")
    batch = step_input()
    bright = StepInput(
        batch.source_images, batch.source_labels, batch.source_images * 4 + 2, batch.target_valid
    )
    optimizer = torch.optim.Adam(method.terms[1].parameters(), lr=1e-3)
    first = last = 0.0
    for step in range(60):
        optimizer.zero_grad()
        loss = method.losses(model, bright, step)["discriminator"]
        loss.backward()
        optimizer.step()
        last = float(loss.detach())
        first = first or last
    assert last < 0.3 * first


def test_auxiliary_logits_have_a_discriminator_of_their_own() -> None:
    """As in the multi-level AdvEnt; of networks without them there is none."""
    _, method = method_of(method="advent")
    assert method.terms[1].aux_discriminator is None
    model = SimpleNamespace(out_classes=5, has_aux_logits=True)
    settings = AdversarialSettings(weight=2.0, aux_weight=3.0)
    term = Adversarial(cast(Any, model), settings)
    assert term.aux_discriminator is not None
    source, target = (
        ModelOutput(
            torch.randn(2, 5, 8, 9, generator=generator(i)),
            torch.zeros(2, 1, 8, 9),
            torch.randn(2, 5, 4, 5, generator=generator(i + 2)).requires_grad_(),
        )
        for i in range(2)
    )
    valid = torch.ones(2, 8, 9, dtype=torch.bool)
    step = SimpleNamespace(source=source, target=target, valid=valid)
    losses = term.losses(cast(Any, step))
    assert target.aux_logits is not None
    told = term.aux_discriminator(self_information(target.aux_logits))
    expected = 3.0 * torch.nn.functional.softplus(told).mean()  # "source", which is 0, is wanted
    assert torch.isclose(losses["adversarial_aux"], expected)
    losses["discriminator_aux"].backward()
    assert all(p.grad is not None for p in term.aux_discriminator.parameters())
    assert all(p.grad is None for p in term.discriminator.parameters())
    assert target.aux_logits.grad is None


def test_the_discriminator_has_its_own_rate() -> None:
    _, method = method_of(method="advent")
    (group,) = method.parameter_groups(0.5)
    assert (group["name"], group["lr"]) == ("discriminator", 1e-4)


def test_teacher_follows_with_its_buffers() -> None:
    """Oracle: θ' ← d·θ' + (1−d)·θ, batch statistics included; the first step copies."""
    torch.manual_seed(0)
    student = build_model("light", 5).train()
    teacher = Teacher(student, TeacherSettings(decay=0.75))
    states = []
    for _ in range(3):
        student(torch.rand(2, 3, 64, 64))
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        teacher.follow(student)
        states.append({k: v.double().clone() for k, v in student.state_dict().items()})
    for name, value in teacher.average.module.state_dict().items():
        if not value.is_floating_point():
            continue
        expected = states[0][name]
        for state in states[1:]:
            expected = 0.75 * expected + 0.25 * state[name]
        assert torch.allclose(value.double(), expected, atol=1e-5), name
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not teacher.train().average.module.training


def test_teacher_labels_against_a_full_softmax() -> None:
    torch.manual_seed(0)
    student = build_model("light", 5)
    torch.nn.init.normal_(student.head.weight, std=1.0)  # type: ignore[arg-type]
    teacher = Teacher(student, TeacherSettings(threshold=0.5))
    images = torch.rand(2, 3, 64, 96)
    got = teacher.label(images)
    with torch.no_grad():
        logits = student.eval()(images).double()
    full = torch.nn.functional.interpolate(logits, size=(64, 96), mode="bilinear").softmax(1)
    confidence, classes = full.max(1)
    assert torch.equal(got.classes, classes)
    assert torch.allclose(got.confidence.double(), confidence, atol=1e-5)
    assert torch.allclose(got.quality.double(), (confidence >= 0.5).double().mean((1, 2)))


def test_half_of_the_classes_are_chosen() -> None:
    labels = torch.tensor([[0, 3, 7], [255, 9, 9], [4, 4, 255]])
    for seed in range(20):
        pasted = choose_classes(labels, generator(seed))
        chosen = labels[pasted].unique()
        assert len(chosen) == 3 and 255 not in chosen
        assert torch.equal(pasted, torch.isin(labels, chosen))  # whole classes
    assert not bool(choose_classes(torch.full((2, 2), 255), generator()).any())


def test_mix_takes_pixels_labels_and_weights_together() -> None:
    pasted = torch.tensor([[[True, False]]])
    ones, twos = torch.ones(1, 3, 1, 2), torch.full((1, 3, 1, 2), 2.0)
    over = (ones, torch.tensor([[[5, 5]]]), torch.ones(1, 1, 2))
    under = (twos, torch.tensor([[[8, 8]]]), torch.full((1, 1, 2), 0.25))
    image, label, weight = mix(pasted, over, under)
    assert image[0, :, 0].tolist() == [[1, 2]] * 3
    assert label.tolist() == [[[5, 8]]] and weight.tolist() == [[[1.0, 0.25]]]


def test_only_pasted_pixels_count_while_the_teacher_is_unsure() -> None:
    """With no sure pixel, labels of the target have no influence on the mixed loss."""
    model, method = method_of(
        method="self-training",
        teacher=TeacherSettings(threshold=1.0),
        mixing=MixingSettings(jitter=0, blur=0),
    )
    assert method.teacher is not None
    loss = method.losses(model, step_input(), 0)["mixing"]
    assert float(loss.detach()) > 0
    with torch.no_grad():
        pseudo = method.teacher.label(step_input().target_images)  # type: ignore[arg-type]
    assert pseudo.quality.tolist() == [0, 0]
    ignored = step_input()
    nothing = StepInput(
        ignored.source_images,
        torch.full_like(ignored.source_labels, 255),
        ignored.target_images,
        ignored.target_valid,
        ignored.generator,
    )
    assert float(method.losses(model, nothing, 0)["mixing"].detach()) == 0.0


@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_patches_are_hidden_whole(share: float) -> None:
    images = torch.rand(64, 3, 70, 100)
    mask = patch_mask(images, 32, share, generator())
    assert mask.shape == (64, 1, 70, 100)
    assert abs(float((mask == 0).float().mean()) - share) < 0.05
    patches = mask[:, :, :64, :96].unfold(2, 32, 32).unfold(3, 32, 32).flatten(-2)
    assert torch.equal(patches.amin(-1), patches.amax(-1))


def test_settings_add_terms_to_any_method() -> None:
    model, method = method_of(
        method="cfcontra",
        mixing=MixingSettings(weight=0.5),
        masking=MaskingSettings(weight=1.0),
        contrast=ContrastSettings(pseudo_labels="teacher"),
        teacher=TeacherSettings(threshold=0.0),
    )
    method.prepare(model, [step_input()])
    names = set(method.losses(model, step_input(), 0))
    assert {"mixing", "masking", "entropy", "contrast_target_to_target"} < names
    method.commit(model)
    assert set(method.measures()) == {"pseudo_label_share", "bank_cosine", "teacher_sure"}


def test_the_same_step_gives_the_same_losses() -> None:
    model, method = method_of(
        method="cfcontra", mixing=MixingSettings(weight=1.0), masking=MaskingSettings(weight=1.0)
    )
    model.eval()
    one, two = (method.losses(model, step_input(3), 0) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_relight_leaves_what_it_must() -> None:
    images = torch.rand(4, 3, 16, 16, generator=generator())
    assert torch.equal(relight(images, 0.0, 0.0, generator()), images)
    changed = relight(images, 0.3, 0.5, generator())
    assert not torch.equal(changed, images)
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1


def test_pixels_are_sampled_per_class() -> None:
    labels = torch.tensor([0] * 500 + [3] * 40 + [255] * 60 + [9] * 2)
    rows = sample_per_class(labels, 50, generator())
    assert torch.bincount(labels[rows]).tolist() == [50, 0, 0, 40, 0, 0, 0, 0, 0, 2]
    assert len(rows.unique()) == len(rows)
    assert not torch.equal(rows, sample_per_class(labels, 50, generator(1)))


def test_few_pixels_move_a_prototype_less() -> None:
    """Oracle: p ← normalise((1 − s)·p + s·m), s = (1 − momentum)·min(1, n / full)."""
    bank = PrototypeBank(3, 2, momentum=0.5, full_count=100)
    start = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    bank.update(start * 7, torch.tensor([7.0, 7.0, 7.0]))  # the first time counts in full
    assert torch.allclose(bank.prototypes, start)
    counts = torch.tensor([10.0, 100.0, 1000.0])
    bank.update(torch.tensor([[0.0, 1.0]]) * counts[:, None], counts)
    for row, moved in enumerate((0.05, 0.5, 0.5)):
        expected = torch.tensor([1 - moved, moved])
        assert torch.allclose(bank.prototypes[row], expected / expected.norm())
