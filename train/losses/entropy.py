"""Entropy of predictions (MinEnt and AdvEnt, Vu et al. 2019)."""

from __future__ import annotations

import math

from torch import Tensor


def entropy_loss(logits: Tensor, valid: Tensor) -> Tensor:
    """Mean entropy of the predictions over valid pixels, normalised by log C to 0–1.

    Args:
        logits: `[N, C, h, w]`.
        valid: bool `[N, h, w]`; without a valid pixel the loss is zero.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
    total = (entropy * valid).sum() / math.log(logits.shape[1])
    return total / valid.sum().clamp(min=1)


def self_information(logits: Tensor) -> Tensor:
    """Weighted self-information maps `−p·log p`, normalised by log C (AdvEnt, eq. 5).

    Args:
        logits: `[N, C, h, w]`.

    Returns:
        `[N, C, h, w]`; their sum over the classes is the normalised entropy.
    """
    log_probabilities = logits.float().log_softmax(dim=1)
    return -log_probabilities.exp() * log_probabilities / math.log(logits.shape[1])
