"""Under which terms data and published weights are given out, as a model file tells them.

A model may be bound by the terms of what it was trained on. What stands here is a pointer to
them and no advice: those of the publishers count.
"""

from __future__ import annotations

DATA = {
    "folder": "not stated: the data is the user's own",
    "video": "not stated: the data is the user's own",
    "streets": "Apache-2.0, generated",
    "cityscapes": "Cityscapes terms of use: non-commercial",
    "gta5": "Playing for Data: research and education",
    "synthia": "CC BY-NC-SA 3.0",
    "acdc": "ACDC licence: non-commercial",
    "bdd100k": "BDD100K licence: education, research and not-for-profit",
    "camvid": "not stated by its publishers",
    "mapillary": "Mapillary Vistas, research edition: CC BY-NC-SA",
}
"""Kind of a data spec → terms."""

_PUBLISHED = {
    "segformer": "NVIDIA Source Code License for SegFormer: non-commercial",
    "dpt-dinov2": "DINOv2: Apache-2.0",
    "dpt-dinov3": "DINOv3 License",
}
_FROM_SCRATCH = "trained from scratch"


def data_terms(spec: str) -> str:
    """Terms of the data that a spec names."""
    return DATA[spec.partition(":")[0]]


def weights_terms(model: str, weights: str) -> str:
    """Terms of what a network began with.

    Args:
        model: its name.
        weights: empty, `imagenet` or a file, as `load_pretrained` takes it.
    """
    if not weights:
        return _FROM_SCRATCH
    if weights != "imagenet":
        return "not stated: weights from a file"
    for family, terms in _PUBLISHED.items():
        if model.startswith(family):
            return terms
    return "of the publisher of the encoder's ImageNet weights"
