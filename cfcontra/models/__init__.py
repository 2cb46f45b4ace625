"""Segmentation networks by name; `build_model` builds any of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cfcontra.config import nearest_hint
from cfcontra.errors import InputError
from cfcontra.models.base import LogitsAndFeatures, ModelOutput, SegmentationModel
from cfcontra.models.deeplabv2 import DeepLabV2
from cfcontra.models.library import ARCHITECTURES, LibraryModel
from cfcontra.models.light import LightSegmenter

MODELS: dict[str, Callable[..., SegmentationModel]] = {
    "light": LightSegmenter,
    "deeplabv2-resnet101": DeepLabV2,
    **{name: partial(LibraryModel, name) for name in ARCHITECTURES},
}


def build_model(name: str, num_classes: int, **options: Any) -> SegmentationModel:
    """Build a network with fresh weights.

    Args:
        name: a key of `MODELS`.
        num_classes: number of classes.
        options: further arguments of that network.

    Raises:
        InputError: unknown name or option.
    """
    if name not in MODELS:
        raise InputError(
            f"Unknown model '{name}'.{nearest_hint(name, MODELS)} Known: {', '.join(MODELS)}."
        )
    try:
        return MODELS[name](num_classes, **options)
    except TypeError as error:
        raise InputError(f"Model '{name}' does not take {options}: {error}.") from error


__all__ = ["MODELS", "LogitsAndFeatures", "ModelOutput", "SegmentationModel", "build_model"]
