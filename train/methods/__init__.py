"""Methods by name: which terms each one sums."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cfcontra.models import SegmentationModel

from ..recipe import Stage
from .adversarial import Adversarial
from .base import Method, Normalize, StepInput, Term
from .contrast import Contrast
from .entropy import Entropy
from .masking import Masking
from .mixing import Mixing
from .supervised import Supervised

METHODS: dict[str, tuple[str, ...]] = {
    "source-only": (),
    "minent": ("entropy",),
    "advent": ("adversarial",),
    "cfcontra": ("entropy", "contrast"),
    "self-training": ("mixing",),
}
"""Name → terms beside the cross-entropy on the source, which all have."""


def target_terms(stage: Stage) -> tuple[str, ...]:
    """The terms of a stage that learn from the target: its method's, and those switched on."""
    names = METHODS[stage.method]
    if stage.mixing.weight and "mixing" not in names:
        names += ("mixing",)
    if stage.masking.weight:
        names += ("masking",)
    return names


def build_method(
    model: SegmentationModel,
    stage: Stage,
    class_weights: Tensor | None,
    normalize: Normalize = lambda images: images,
) -> Method:
    """The method a stage names, with the further terms that its settings switch on.

    Args:
        class_weights: `[C]` for the cross-entropy, or None.
        normalize: from values 0–1 to what the network takes.
    """
    builders: dict[str, Callable[[], Term]] = {
        "entropy": lambda: Entropy(stage.entropy),
        "adversarial": lambda: Adversarial(model, stage.adversarial),
        "contrast": lambda: Contrast(model, stage.contrast),
        "mixing": lambda: Mixing(stage.mixing),
        "masking": lambda: Masking(stage.masking),
    }
    terms: list[Term] = [Supervised(stage.aux_weight, class_weights)]
    terms += [builders[name]() for name in target_terms(stage)]
    return Method(model, stage, terms, normalize)


__all__ = ["METHODS", "Method", "StepInput", "build_method", "target_terms"]
