"""The projection head: from the network's features to the space of the prototypes."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """Pixel features to L2-normalised embeddings. Belongs to training, never to a model file.

    Args:
        inputs: channels of the features.
        kind: `mlp` (1×1 convolution, ReLU, 1×1 convolution), `linear`, or `none`.
        dimension: channels of the embedding; `none` keeps `inputs`.
    """

    def __init__(self, inputs: int, kind: Literal["mlp", "linear", "none"], dimension: int) -> None:
        super().__init__()
        self.dimension = inputs if kind == "none" else dimension
        self.layers: nn.Module
        if kind == "mlp":
            self.layers = nn.Sequential(
                nn.Conv2d(inputs, inputs, 1), nn.ReLU(inplace=True), nn.Conv2d(inputs, dimension, 1)
            )
        elif kind == "linear":
            self.layers = nn.Conv2d(inputs, dimension, 1)
        else:
            self.layers = nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """`[N, D, h, w]` → normalised pixel rows `[N·h·w, dimension]`, float32."""
        projected = self.layers(features).float()
        return F.normalize(projected.permute(0, 2, 3, 1).flatten(0, 2), dim=1)
