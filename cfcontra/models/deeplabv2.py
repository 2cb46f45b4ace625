"""DeepLab-v2 on ResNet-101 (Chen et al. 2017), as unsupervised adaptation uses it.

Layout after AdaptSegNet (Tsai et al. 2018) and ADVENT (Vu et al. 2019): output stride 8
by dilation in the last two stages, batch normalisation frozen, one atrous pyramid
on the last stage and an auxiliary one on the stage before.
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import resnet101

from cfcontra.models.base import ModelOutput, SegmentationModel, require_classes

_DILATIONS = (6, 12, 18, 24)


class FrozenStages(nn.Module):
    """ResNet-101 at output stride 8; its batch normalisation neither learns nor tracks."""

    def __init__(self) -> None:
        super().__init__()
        net = resnet101(weights=None, replace_stride_with_dilation=[False, True, True])
        net.maxpool.ceil_mode = True  # 1280×640 gives 161×81, as the published models have
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4
        for norm in self._norms():
            norm.requires_grad_(False)

    def _norms(self) -> list[nn.BatchNorm2d]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    def train(self, mode: bool = True) -> FrozenStages:
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        third = self.layer3(self.layer2(self.layer1(self.stem(images))))
        return third, self.layer4(third)


class AtrousPyramid(nn.Module):
    """Sum of 3×3 classifiers at several dilations (ASPP of DeepLab-v2)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        convolutions = [
            nn.Conv2d(channels, num_classes, 3, padding=rate, dilation=rate) for rate in _DILATIONS
        ]
        for convolution in convolutions:
            nn.init.normal_(convolution.weight, std=0.01)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        self.branches = nn.ModuleList(convolutions)

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total


class DeepLabV2(SegmentationModel):
    """`deeplabv2-resnet101`: 2048-channel features at output stride 8, auxiliary logits."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        require_classes(num_classes)
        self.name, self.options = "deeplabv2-resnet101", {}
        self.out_classes = num_classes
        self.feature_channels = 2048
        self.output_stride = 8
        self.encoder = FrozenStages()
        self.decoder = nn.Identity()
        self.head: nn.ModuleList = nn.ModuleList(
            [AtrousPyramid(2048, num_classes), AtrousPyramid(1024, num_classes)]
        )

    def forward_features(self, images: Tensor) -> ModelOutput:
        third, fourth = self.encoder(images)
        main, auxiliary = self.head
        return ModelOutput(main(fourth), fourth, auxiliary(third))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head[0](self.encoder(images)[1])
        return logits
