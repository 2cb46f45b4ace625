"""The projection head: from the network's features to the space of the prototypes."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

_EPSILON = 1e-12


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
        projected: Tensor = self.layers(features).float()
        rows: Tensor = UnitLength.apply(projected.permute(0, 2, 3, 1).flatten(0, 2))
        return rows


class UnitLength(torch.autograd.Function):
    """Rows `[P, D]` over their L2 norms, as `F.normalize`, in a third of its passes over memory.

    It is the largest tensor of the contrast, and the time there is all memory's.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        scale = norms.clamp_(min=_EPSILON).reciprocal_()
        unit: Tensor = rows * scale
        ctx.save_for_backward(unit, scale)
        return unit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit, scale = ctx.saved_tensors
        (gradient,) = gradients
        along = torch.linalg.vecdot(gradient, unit, dim=1).unsqueeze(1)
        across: Tensor = torch.addcmul(gradient, unit, along, value=-1)
        across *= scale
        return across
