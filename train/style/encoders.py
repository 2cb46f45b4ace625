"""Encoders whose statistics describe a picture's look: VGG-19, or a trained segmenter's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from cfcontra.checkpoint import load_checkpoint
from cfcontra.errors import InputError
from cfcontra.models.light import Encoder, LightSegmenter
from cfcontra.models.pretrained import fit_state, read_state
from cfcontra.preprocessing import IMAGENET_MEAN, IMAGENET_STD

VGG19, LIGHT = "vgg19", "light"
# Layers of torchvision's VGG-19 behind relu1_1, relu2_1, relu3_1 and relu4_1.
_VGG_TAPS = (1, 6, 11, 20)


class StyleEncoder(nn.Module, ABC):
    """Frames with values 0–1 to feature maps from shallow to deep; the last is aligned.

    Attributes:
        kind: by which `build_encoder` builds it again.
        channels, strides: of the maps.
    """

    kind: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, frames: Tensor) -> list[Tensor]:
        return self.maps((frames - self.mean) / self.std)

    @abstractmethod
    def maps(self, images: Tensor) -> list[Tensor]:
        """Maps of normalised images."""


class Vgg19(StyleEncoder):
    """VGG-19 up to relu4_1, as in the paper."""

    kind, channels, strides = VGG19, (64, 128, 256, 512), (1, 2, 4, 8)

    def __init__(self) -> None:
        super().__init__()
        layers = torchvision.models.vgg19(weights=None).features[: _VGG_TAPS[-1] + 1]
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.features = layers

    def maps(self, images: Tensor) -> list[Tensor]:
        found = []
        for index, layer in enumerate(self.features):
            images = layer(images)
            if index in _VGG_TAPS:
                found.append(images)
        return found


class LightStem(StyleEncoder):
    """The first maps of a `light` segmenter's encoder, where no ImageNet weights can be had.

    Two maps only: from deeper ones, made to tell classes apart, no picture comes back.
    """

    kind, channels, strides = LIGHT, (32, 64), (2, 4)

    def __init__(self) -> None:
        super().__init__()
        whole = Encoder()
        self.stem, self.stages = whole.stem, whole.stages[:1]

    def maps(self, images: Tensor) -> list[Tensor]:
        found = [self.stem(images)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found


def build_encoder(kind: str, where: str) -> StyleEncoder:
    """An encoder with random weights.

    Raises:
        InputError: an unknown kind; `where` is named.
    """
    kinds: dict[str, type[StyleEncoder]] = {VGG19: Vgg19, LIGHT: LightStem}
    if kind not in kinds:
        raise InputError(f"{where}: style encoder '{kind}' is unknown here. Update cfcontra.")
    return kinds[kind]()


def load_encoder(source: str) -> StyleEncoder:
    """An encoder with trained weights.

    Args:
        source: `vgg19`, whose ImageNet weights are downloaded; a file with a state dict of
            torchvision's VGG-19; or the `model.pt` of a `light` segmenter.

    Raises:
        InputError: no such weights, or weights that do not fit.
    """
    if source == VGG19:
        try:
            weights = torchvision.models.VGG19_Weights.IMAGENET1K_V1
            state = weights.get_state_dict(progress=False, check_hash=True)
        except Exception as error:  # whatever there is between here and the hub
            raise InputError(
                f"--encoder vgg19: the ImageNet weights cannot be downloaded ({error}). Give the "
                "file (vgg19-dcbb9e9d.pth), or the model.pt of a 'light' segmenter."
            ) from error
        return _vgg(state, source)
    path = Path(source)
    if path.suffix == ".pth":
        return _vgg(read_state(path), source)
    checkpoint = load_checkpoint(path)
    if not isinstance(checkpoint.model, LightSegmenter):
        raise InputError(
            f"{source}: style encoders are made of 'light' segmenters and VGG-19, not of "
            f"'{checkpoint.model.name}'."
        )
    encoder = LightStem()
    own = checkpoint.model.encoder.state_dict()
    kept = {key: own[key] for key in encoder.state_dict() if key in own}
    preprocessing = checkpoint.metadata.preprocessing
    kept["mean"] = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
    kept["std"] = torch.tensor(preprocessing.std).view(1, 3, 1, 1)
    encoder.load_state_dict(kept)
    return encoder


def _vgg(state: dict[str, Tensor], where: str) -> Vgg19:
    encoder = Vgg19()
    wanted = encoder.features.state_dict()
    found = {
        key.removeprefix("features."): value
        for key, value in state.items()
        if key.removeprefix("features.") in wanted
    }
    fit_state(encoder.features, found, where)
    return encoder
