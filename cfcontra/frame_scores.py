"""What can be said of a whole frame without its label: three numbers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.preprocessing import Preprocessing


def frame_scores(
    logits: Tensor, features: Tensor, prototypes: Tensor, part: tuple[int, int]
) -> Tensor:
    """Mean confidence, mean entropy and mean distance to the class prototypes, float32 `[N, 3]`.

    Confidence is the softmax maximum, entropy is normalised by log C, and the distance is
    1 − the cosine between a pixel's features and the nearest prototype; 0–1 each (the distance
    0–2). Means are over the logits' pixels that show the frame, not its padding.

    Args:
        logits: `[N, C, h, w]`.
        features: `[N, D, h, w]`, what the classifier saw.
        prototypes: `[K, D]`, L2-normalised; of the classes that have one.
        part: rows and columns of the logits that show the frame, see `visible_part`.
    """
    rows, columns = part
    seen = logits[:, :, :rows, :columns].float()
    features = features[:, :, :rows, :columns].float()
    log_probabilities = seen.log_softmax(dim=1)
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities).sum(dim=1) / math.log(logits.shape[1])
    lengths = features.norm(dim=1).clamp(min=1e-12)
    closeness = F.conv2d(features, prototypes[:, :, None, None].to(features)).amax(dim=1) / lengths
    maps = probabilities.amax(dim=1), entropy, 1.0 - closeness
    return torch.stack([one.mean(dim=(1, 2)) for one in maps], dim=1)


def visible_part(
    logits_size: tuple[int, int], preprocessing: Preprocessing, size: tuple[int, int]
) -> tuple[int, int]:
    """Rows and columns of the logits whose centres lie in the frame; at least one of each.

    Args:
        logits_size: `(h, w)` of the logits.
        size: `(H, W)` of the frame.
    """
    scaled = preprocessing.scaled_size(*size)
    rows, columns = (
        max(1, (2 * count * inside + whole - 1) // (2 * whole))
        for count, inside, whole in zip(logits_size, scaled, preprocessing.work_size, strict=True)
    )
    return rows, columns
