"""Architectures of segmentation-models-pytorch on its own and timm's encoders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.models.base import ModelOutput, SegmentationModel, require_classes
from cfcontra.models.hub import quick_hub
from cfcontra.models.pretrained import fit_state


@dataclass(frozen=True)
class Architecture:
    """One entry of the library.

    Attributes:
        decoder: class in segmentation-models-pytorch.
        encoder: its name there; `tu-` stands before timm's.
        output_stride: pixels per logit before the library up-samples them.
        multiple: the input's sides are padded to a multiple of this.
        options: further arguments.
    """

    decoder: str
    encoder: str
    output_stride: int = 4
    multiple: int = 32
    options: dict[str, Any] = field(default_factory=dict)


def _dpt(encoder: str, **options: Any) -> Architecture:
    sized = {"dynamic_img_size": True, **options}
    return Architecture("DPT", encoder, output_stride=2, multiple=32, options=sized)


ARCHITECTURES: dict[str, Architecture] = {
    "deeplabv3plus-resnet50": Architecture("DeepLabV3Plus", "resnet50"),
    "deeplabv3plus-resnet101": Architecture("DeepLabV3Plus", "resnet101"),
    **{f"segformer-b{size}": Architecture("Segformer", f"mit_b{size}") for size in range(6)},
    "upernet-convnext-tiny": Architecture("UPerNet", "tu-convnext_tiny"),
    # Patches of 16 pixels: the decoder doubles and halves, and 14 does neither. timm resamples
    # the published patch embedding.
    "dpt-dinov2-small": _dpt("tu-vit_small_patch14_dinov2", patch_size=16, img_size=512),
    "dpt-dinov2-base": _dpt("tu-vit_base_patch14_dinov2", patch_size=16, img_size=512),
    "dpt-dinov3-small": _dpt("tu-vit_small_patch16_dinov3"),
    "dpt-dinov3-base": _dpt("tu-vit_base_patch16_dinov3"),
    # Real-time networks of 3–5 M parameters.
    "deeplabv3plus-mobilenetv3": Architecture("DeepLabV3Plus", "tu-mobilenetv3_large_100"),
    "fpn-mobilenetv4": Architecture("FPN", "tu-mobilenetv4_conv_small"),
}


class LibraryModel(SegmentationModel):
    """An encoder, decoder and classifier of the library, at the decoder's own stride.

    Inputs are padded with zeros (the mean colour) to what the encoder divides evenly, and
    the logits cropped to the picture again.

    Args:
        name: a key of `ARCHITECTURES`.
        num_classes: number of classes.
        encoder_weights: `imagenet` for published weights of the encoder, which are
            downloaded; None for random ones. Not part of `config`.
    """

    def __init__(self, name: str, num_classes: int, encoder_weights: str | None = None) -> None:
        import segmentation_models_pytorch as library

        super().__init__()
        require_classes(num_classes)
        plan = ARCHITECTURES[name]
        built = getattr(library, plan.decoder)(
            encoder_name=plan.encoder,
            encoder_weights=encoder_weights,
            classes=num_classes,
            **plan.options,
        )
        self.name, self.options = name, {}
        self.out_classes, self.output_stride = num_classes, plan.output_stride
        self.encoder, self.decoder = built.encoder, built.decoder
        neck, self.head = _classifier(built.segmentation_head)
        self._multiple, self._has_prefix = plan.multiple, plan.decoder == "DPT"
        if neck is not None:
            self.decoder = nn.ModuleList([self.decoder, neck])
            # Blocks in the middle are decoded: the last norm would never see a gradient.
            vision_transformer = self.encoder.get_submodule("model")
            vision_transformer.get_submodule("norm").requires_grad_(False)
        self.feature_channels = next(self.head.parameters()).shape[1]

    def published_state(self) -> dict[str, Tensor]:
        with quick_hub():
            twin = LibraryModel(self.name, self.out_classes, encoder_weights="imagenet")
        return twin.encoder.state_dict()

    def how_to_fetch(self) -> str:
        return (
            f"Where there is a network, run `hf download {_repository(self.name)}`, and copy its "
            "cache here (~/.cache/huggingface/hub, or where HF_HUB_CACHE says)."
        )

    def adopt(self, state: dict[str, Tensor], where: str) -> None:
        """Weights of the encoder, named as in the library or with `encoder.` before."""
        prefixed = {k: v for k, v in state.items() if k.startswith("encoder.")}
        own = {key.removeprefix("encoder."): value for key, value in prefixed.items()} or state
        fit_state(self.encoder, own, where)

    def forward_features(self, images: Tensor) -> ModelOutput:
        height, width = images.shape[-2:]
        below, right = -height % self._multiple, -width % self._multiple
        padded = F.pad(images, (0, right, 0, below))
        if self._has_prefix:
            assert isinstance(self.decoder, nn.ModuleList)
            decoder, neck = self.decoder
            features = neck(decoder(*self.encoder(padded)))
        else:
            features = self.decoder(self.encoder(padded))
        stride = self.output_stride
        features = features[..., : -(-height // stride), : -(-width // stride)]
        return ModelOutput(self.head(features), features)


def _classifier(head: nn.Module) -> tuple[nn.Module | None, nn.Module]:
    """What stands before the classifier in the library's head, and the classifier itself.

    Left out are up-sampling and activation.
    """
    inner = getattr(head, "head", None)
    if inner is None:
        assert isinstance(head, nn.Sequential)
        return None, head[0]
    assert isinstance(inner, nn.Sequential)
    return inner[:-2], inner[-2:]  # dropout stays with the classifier


def _repository(name: str) -> str:
    """Where an encoder's weights are on the Hub, as `hf download` takes it."""
    encoder = ARCHITECTURES[name].encoder
    if encoder.startswith("tu-"):
        from timm.models import get_pretrained_cfg

        found = get_pretrained_cfg(encoder.removeprefix("tu-"))
        return str(found.hf_hub_id) if found is not None else encoder
    from segmentation_models_pytorch.encoders import encoders

    place = encoders[encoder]["pretrained_settings"]["imagenet"]
    return f"{place['repo_id']} --revision {place['revision']}"
