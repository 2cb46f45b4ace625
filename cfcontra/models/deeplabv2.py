"""DeepLab-v2 on ResNet-101 (Chen et al. 2017), as unsupervised adaptation uses it.

Layout after AdaptSegNet (Tsai et al. 2018) and ADVENT (Vu et al. 2019): output stride 8
by dilation in the last two stages, batch normalisation frozen, one atrous pyramid
on the last stage and an auxiliary one on the stage before.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import ResNet101_Weights, resnet101

from cfcontra.models.base import ModelOutput, SegmentationModel, require_classes
from cfcontra.models.pretrained import fit_state
from cfcontra.preprocessing import IMAGENET_MEAN, IMAGENET_STD

Layout = Literal["torchvision", "advent"]

_DILATIONS = (6, 12, 18, 24)
_STEM = {"conv1": "stem.0", "bn1": "stem.1"}
_CLASSIFIERS = {"fc", "layer5", "layer6"}
_PYRAMIDS = ("layer5.", "layer6.")
_CAFFE_MEAN = (122.67891434, 116.66876762, 104.00698793)
"""Of red, green and blue, from 0 to 255: what AdaptSegNet and AdvEnt subtract from a frame."""


class FrozenStages(nn.Module):
    """ResNet-101 at output stride 8; its batch normalisation neither learns nor tracks.

    Args:
        layout: `torchvision` strides in a block's 3×3 convolution and dilates from the second
            block of a stage on; `advent` strides in the first 1×1 and dilates from the first
            block on, as the Caffe network that AdaptSegNet and AdvEnt start from. The weights
            have the same names and shapes but belong to one of the two.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        net = resnet101(weights=None, replace_stride_with_dilation=[False, True, True])
        net.maxpool.ceil_mode = True  # 1280×640 gives 161×81, as the published models have
        self.stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4
        for norm in self._norms():
            norm.requires_grad_(False)
        if layout == "advent":
            self._stride_and_dilate_first()

    def _stride_and_dilate_first(self) -> None:
        first = self.layer2[0]
        first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)
        for stage, dilation in ((self.layer3, 2), (self.layer4, 4)):
            for block in stage:
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)

    @torch.no_grad()
    def take_normalised_rgb(self) -> None:
        """Rewrite a stem that was trained on BGR from 0 to 255 less its mean.

        The same function of a frame, given with ImageNet's mean and standard deviation; beyond
        the frame's border the mean colour of the one differs from the other's by a grey level.
        """
        stem = self.stem.state_dict()  # the stem's own tensors
        kernels, centre = stem["0.weight"], stem["1.running_mean"]
        mean, std, caffe = (
            kernels.new_tensor(rgb, dtype=torch.double).view(3, 1, 1)
            for rgb in (IMAGENET_MEAN, IMAGENET_STD, _CAFFE_MEAN)
        )
        rgb = kernels.double().flip(1)
        centre -= (rgb * (255 * mean - caffe)).sum(dim=(1, 2, 3))
        kernels.copy_(rgb * 255 * std)

    def _norms(self) -> list[nn.Module]:
        # Several processes turn the one kind into the other.
        kinds = (nn.BatchNorm2d, nn.SyncBatchNorm)
        return [module for module in self.modules() if isinstance(module, kinds)]

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
    """`deeplabv2-resnet101`: 2048-channel features at output stride 8, auxiliary logits.

    Args:
        num_classes: number of classes.
        layout: of the residual blocks, see `FrozenStages`.
    """

    has_aux_logits = True

    def __init__(self, num_classes: int, layout: Layout = "torchvision") -> None:
        super().__init__()
        require_classes(num_classes)
        self.name, self.options = "deeplabv2-resnet101", {"layout": layout}
        self.out_classes = num_classes
        self.feature_channels = 2048
        self.output_stride = 8
        self.encoder = FrozenStages(layout)
        self.decoder = nn.Identity()
        self.head: nn.ModuleList = nn.ModuleList(
            [AtrousPyramid(2048, num_classes), AtrousPyramid(1024, num_classes)]
        )

    def published_state(self) -> dict[str, Tensor]:
        return dict(ResNet101_Weights.IMAGENET1K_V1.get_state_dict(progress=False))

    def how_to_fetch(self) -> str:
        return f"Fetch {ResNet101_Weights.IMAGENET1K_V1.url} elsewhere and give the file's path."

    def adopt(self, state: dict[str, Tensor], where: str) -> None:
        """Weights in torchvision's ResNet-101 naming, with or without AdvEnt's classifiers.

        A file with such classifiers (`layer5`, `layer6`) is AdvEnt's, or AdaptSegNet's, with
        `Scale.` before or without: the network takes its block layout, and its classifiers where
        they have as many classes, and its stem is rewritten for the frames that a run gives.
        """
        state = {key.removeprefix("Scale."): value for key, value in state.items()}
        encoder = {
            f"{_STEM.get(key.split('.')[0], key.split('.')[0])}.{key.partition('.')[2]}": value
            for key, value in state.items()
            if key.split(".")[0] not in _CLASSIFIERS
        }
        if not any(key.startswith(_PYRAMIDS) for key in state):
            fit_state(self.encoder, encoder, where)
            return
        stages = FrozenStages("advent").train(self.training)
        fit_state(stages, encoder, where)
        stages.take_normalised_rgb()
        self.encoder, self.options = stages, {"layout": "advent"}
        for classifier in self.head:
            wanted = classifier.state_dict()["branches.0.weight"].shape
            for name in _PYRAMIDS:  # of one level alone, the last stage's has either name
                own = {
                    key.replace(f"{name}conv2d_list", "branches"): value
                    for key, value in state.items()
                    if key.startswith(name)
                }
                if own and own["branches.0.weight"].shape == wanted:
                    fit_state(classifier, own, where)

    def forward_features(self, images: Tensor) -> ModelOutput:
        third, fourth = self.encoder(images)
        main, auxiliary = self.head
        return ModelOutput(main(fourth), fourth, auxiliary(third))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head[0](self.encoder(images)[1])
        return logits
