"""Style by feature statistics: AdaIN between an encoder and a trained decoder.

Huang & Belongie 2017 (arXiv 1703.06868), the coarse stage of CFContra's paper.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .encoders import StyleEncoder

_EPSILON = 1e-5


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of each frame, `[N, C, 1, 1]`, in float32."""
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), keepdim=True, correction=0)
    return mean, (variance + _EPSILON).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Content features with the style's mean and deviation per channel (eq. 8).

    Args:
        content: `[N, C, h, w]`.
        style: `[N, C, h', w']`.
    """
    mean, deviation = statistics(content)
    style_mean, style_deviation = statistics(style)
    return (content.float() - mean) / deviation * style_deviation + style_mean


class Decoder(nn.Sequential):
    """The encoder mirrored: from its last map back to a picture, without normalisation.

    Nearest up-sampling and reflected borders, as in the paper (sec. 6.1).

    Args:
        channels: of the encoder's maps, from shallow to deep.
        strides: of the same maps.
    """

    def __init__(self, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        stride, width = strides[-1], channels[-1]
        for outputs, at in reversed([(channels[0] // 2, 1), *zip(channels, strides, strict=True)]):
            layers += [_convolution(width, outputs), nn.ReLU(inplace=True)]
            width = outputs
            if stride > at:
                layers.append(nn.Upsample(scale_factor=stride // at, mode="nearest"))
                stride = at
        super().__init__(*layers, _convolution(width, 3))


def _convolution(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


class StyleNetwork(nn.Module):
    """Gives frames the look of others: encode both, align statistics, decode.

    Args:
        encoder: fixed; it stays in evaluation mode and takes no gradient.
    """

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False).eval()
        self.decoder = Decoder(encoder.channels, encoder.strides)

    def train(self, mode: bool = True) -> StyleNetwork:
        super().train(mode)
        self.encoder.eval()
        return self

    def encode(self, frames: Tensor) -> list[Tensor]:
        """The encoder's maps of frames `[N, 3, H, W]`, values 0–1, padded to its stride."""
        stride = self.encoder.strides[-1]
        rows, columns = (-size % stride for size in frames.shape[-2:])
        maps: list[Tensor] = self.encoder(F.pad(frames, (0, columns, 0, rows), mode="replicate"))
        return maps

    def decode(self, features: Tensor, size: tuple[int, int]) -> Tensor:
        """A picture of a size from features; values are not limited."""
        picture: Tensor = self.decoder(features)
        return picture[..., : size[0], : size[1]]

    def forward(self, source: Tensor, target: Tensor, alpha: float = 1.0) -> Tensor:
        """Source frames with the target frames' look.

        Args:
            source, target: `[N, 3, H, W]` and `[N, 3, h, w]`, values 0–1.
            alpha: share of the style, 0 keeps the source's (eq. 14).

        Returns:
            `[N, 3, H, W]`, values 0–1.
        """
        content = self.encode(source)[-1].float()
        styled = adain(content, self.encode(target)[-1])
        mixed = alpha * styled + (1 - alpha) * content
        return self.decode(mixed, _size(source)).float().clamp(0.0, 1.0)


def style_losses(network: StyleNetwork, source: Tensor, target: Tensor) -> dict[str, Tensor]:
    """What the decoder is trained by.

    `content` and `style` of what it draws (eq. 12 and 13), and `identity`: a frame whose
    features are not changed comes back as it was (Park & Lee 2019, arXiv 1812.02342).

    Args:
        source, target: `[N, 3, H, W]` and `[N, 3, h, w]`, values 0–1.
    """
    with torch.no_grad():
        content, style_maps = network.encode(source)[-1], network.encode(target)
        wanted = adain(content, style_maps[-1])
        looks = [statistics(features) for features in style_maps]
    drawn = network.encode(network.decode(wanted, _size(source)))
    style = drawn[-1].new_zeros((), dtype=torch.float32)
    for features, (mean, deviation) in zip(drawn, looks, strict=True):
        found_mean, found_deviation = statistics(features)
        style = style + F.mse_loss(found_mean, mean) + F.mse_loss(found_deviation, deviation)
    identity = F.mse_loss(network.decode(content, _size(source)), source)
    identity = identity + F.mse_loss(network.decode(style_maps[-1], _size(target)), target)
    return {
        "content": F.mse_loss(drawn[-1].float(), wanted),
        "style": style,
        "identity": identity,
    }


def _size(frames: Tensor) -> tuple[int, int]:
    return frames.shape[-2], frames.shape[-1]
