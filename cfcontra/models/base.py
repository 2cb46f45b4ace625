"""The contract every segmentation network keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from cfcontra.errors import InputError


@dataclass(frozen=True)
class ModelOutput:
    """Everything one forward pass gives to training.

    Attributes:
        logits: `[N, C, H/s, W/s]` at the output stride `s`.
        features: `[N, D, H/s, W/s]`, what the classifier sees.
        aux_logits: `[N, C, h, w]` of an auxiliary classifier, or None.
    """

    logits: Tensor
    features: Tensor
    aux_logits: Tensor | None = None


class SegmentationModel(nn.Module):
    """Encoder, decoder and classifier head over normalised RGB input `[N, 3, H, W]`.

    A subclass sets the attributes and implements `forward_features`. Inputs of any size
    of at least 32×32 work; the output is at `output_stride`, rounded up.

    Attributes:
        name: registry name; `options` are the further arguments it was built with.
        out_classes: number of classes `C`.
        feature_channels: channels `D` of `ModelOutput.features`.
        output_stride: pixels of the input per logit, each way.
        has_aux_logits: whether `ModelOutput.aux_logits` are there.
        encoder, decoder, head: the three parts; every parameter is in exactly one.
    """

    name: str
    options: dict[str, Any]
    out_classes: int
    feature_channels: int
    output_stride: int
    has_aux_logits: bool = False
    encoder: nn.Module
    decoder: nn.Module
    head: nn.Module

    def forward_features(self, images: Tensor) -> ModelOutput:
        """Logits together with the features before the classifier."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, C, H/s, W/s]`."""
        return self.forward_features(images).logits

    def config(self) -> dict[str, Any]:
        """What `build_model` needs to build the same network again, classes apart."""
        return {"name": self.name, **self.options}

    def published_state(self) -> dict[str, Tensor]:
        """Download the encoder's published ImageNet weights."""
        raise InputError(f"Model '{self.name}' has no published weights; it starts from random.")

    def how_to_fetch(self) -> str:
        """What to do where `published_state` reaches no network; a sentence or two."""
        return "Get the file elsewhere and give its path."

    def adopt(self, state: dict[str, Tensor], where: str) -> None:
        """Take over weights that were published for the encoder, or for all of it.

        Raises:
            InputError: they do not fit; `where` is named in the message.
        """
        raise InputError(f"{where}: model '{self.name}' takes no foreign weights; use --init.")

    def parameter_groups(self, lr: float, head_lr_factor: float = 1.0) -> list[dict[str, Any]]:
        """Trainable parameters for an optimiser, each exactly once.

        Args:
            lr: learning rate of the encoder.
            head_lr_factor: factor on `lr` for decoder and head.
        """
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        rest = [
            p for part in (self.decoder, self.head) for p in part.parameters() if p.requires_grad
        ]
        return [
            {"params": encoder, "lr": lr, "name": "encoder"},
            {"params": rest, "lr": lr * head_lr_factor, "name": "head"},
        ]


class LogitsAndFeatures(nn.Module):
    """A network that gives `(logits, features)` where a plain call gives logits alone."""

    def __init__(self, model: SegmentationModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model.forward_features(images)
        return output.logits, output.features


def require_classes(num_classes: int) -> None:
    """Raise an `InputError` for fewer than two classes."""
    if num_classes < 2:
        raise InputError(f"A segmenter needs at least 2 classes, not {num_classes}.")
