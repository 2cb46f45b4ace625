"""The domain discriminator of AdvEnt."""

from __future__ import annotations

from torch import nn

_WIDTHS = (64, 128, 256, 512)


class Discriminator(nn.Sequential):
    """Five 4×4 convolutions of stride 2, from `C` maps to one logit per patch.

    `[N, C, h, w]` → `[N, 1, h', w']`, positive for target.

    The architecture of AdaptSegNet (Tsai et al. 2018) and AdvEnt (Vu et al. 2019), padded by
    two, so that maps of any size leave a patch.
    """

    def __init__(self, num_classes: int) -> None:
        layers: list[nn.Module] = []
        inputs = num_classes
        for outputs in _WIDTHS:
            layers += [nn.Conv2d(inputs, outputs, 4, 2, padding=2), nn.LeakyReLU(0.2, inplace=True)]
            inputs = outputs
        super().__init__(*layers, nn.Conv2d(inputs, 1, 4, 2, padding=2))
