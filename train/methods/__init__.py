"""Methods by name: which terms each one sums."""

from __future__ import annotations

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
    names = METHODS[stage.method]
    terms: list[Term] = [Supervised(stage.aux_weight, class_weights)]
    if "entropy" in names:
        terms.append(Entropy(stage.entropy))
    if "adversarial" in names:
        terms.append(Adversarial(model.out_classes, stage.adversarial))
    if "contrast" in names:
        terms.append(Contrast(model, stage.contrast))
    if "mixing" in names or stage.mixing.weight:
        terms.append(Mixing(stage.mixing))
    if stage.masking.weight:
        terms.append(Masking(stage.masking))
    return Method(model, stage, terms, normalize)


__all__ = ["METHODS", "Method", "StepInput", "build_method"]
