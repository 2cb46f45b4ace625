"""A light residual encoder with a pyramid decoder, trainable from scratch on a CPU."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.models.base import ModelOutput, SegmentationModel, require_classes

_WIDTHS = (32, 64, 128, 192, 256)
_DECODER_WIDTH = 96
_BLOCKS = 2


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation, optionally with ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(inputs, outputs, stride=stride), ConvNorm(outputs, outputs, relu=False)
        )
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = (
            nn.Identity() if same else ConvNorm(inputs, outputs, 1, stride, relu=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Encoder(nn.Module):
    """Feature maps at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNorm(3, _WIDTHS[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(inputs, outputs, stride=2),
                *(ResidualBlock(outputs, outputs, stride=1) for _ in range(_BLOCKS - 1)),
            )
            for inputs, outputs in pairwise(_WIDTHS)
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.stem(images)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """Feature pyramid (Lin et al. 2017) with the whole picture's mean as context."""

    def __init__(self) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(ConvNorm(w, _DECODER_WIDTH, 1) for w in _WIDTHS[1:])
        self.context = nn.Conv2d(_WIDTHS[-1], _DECODER_WIDTH, 1)
        self.merges = nn.ModuleList(ConvNorm(_DECODER_WIDTH, _DECODER_WIDTH) for _ in self.laterals)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x: Tensor = self.context(maps[-1].mean(dim=(2, 3), keepdim=True))
        for level in reversed(range(len(maps))):
            lateral = self.laterals[level](maps[level])
            x = self.merges[level](lateral + _match(x, lateral))
        return x


def _match(x: Tensor, other: Tensor) -> Tensor:
    if x.shape[-2:] == (1, 1):
        return x.expand_as(other)
    return F.interpolate(x, size=other.shape[-2:], mode="bilinear", align_corners=False)


class LightSegmenter(SegmentationModel):
    """About 4 M parameters, output stride 4."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        require_classes(num_classes)
        self.name, self.options = "light", {}
        self.out_classes = num_classes
        self.feature_channels = _DECODER_WIDTH
        self.output_stride = 4
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.head = nn.Conv2d(_DECODER_WIDTH, num_classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.normal_(self.head.weight, std=0.01)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward_features(self, images: Tensor) -> ModelOutput:
        features = self.decoder(self.encoder(images))
        return ModelOutput(self.head(features), features)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return int(sum(torch.numel(p) for p in model.parameters() if p.requires_grad))
