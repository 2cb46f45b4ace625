"""Scores of a network on frames without labels; of each, higher is meant to be better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_EPSILON = 1e-12


def certainty(probabilities: Tensor) -> float:
    """One minus the mean normalised entropy (Morerio et al. 2018).

    Args:
        probabilities: `[P, C]`, rows sum to 1.
    """
    return 1.0 - float(_entropy(probabilities).mean()) / math.log(probabilities.shape[1])


def mutual_information(probabilities: Tensor) -> float:
    """Entropy of the mean prediction minus mean entropy, over log C (Shi & Sha 2012).

    Certain and varied predictions are good; certain predictions of one class are not.

    Args:
        probabilities: `[P, C]`.
    """
    varied = _entropy(probabilities.mean(dim=0, keepdim=True))[0]
    certain = _entropy(probabilities).mean()
    return float(varied - certain) / math.log(probabilities.shape[1])


def neighbourhood_density(probabilities: Tensor, temperature: float = 0.05) -> float:
    """Soft neighbourhood density (Saito et al. 2021, eq. 1–3).

    Mean entropy of each pixel's similarity to all others: high where every prediction has
    many others close to it.

    Args:
        probabilities: `[P, C]` of a sample of pixels; memory grows with P².
        temperature: τ.
    """
    rows = F.normalize(probabilities, dim=1)
    similarity = (rows @ rows.t() / temperature).fill_diagonal_(float("-inf"))
    return float(_entropy(similarity.softmax(dim=1)).mean())


def class_agreement(one: Tensor, other: Tensor, num_classes: int) -> float:
    """Mean IoU of two predictions of the same pixels, over the classes that either names.

    Args:
        one, other: long `[P]`.
    """
    joint = torch.bincount(one * num_classes + other, minlength=num_classes**2)
    return agreement_of(joint.view(num_classes, num_classes).cpu().numpy())


def agreement_of(joint: NDArray[Any]) -> float:
    """The same from pixel counts `[C, C]` of one prediction's classes by the other's."""
    hits = np.diagonal(joint).astype(np.float64)
    union = joint.sum(0) + joint.sum(1) - hits
    return float((hits[union > 0] / union[union > 0]).mean())


def clustering_tendency(features: Tensor, generator: torch.Generator) -> float:
    """Hopkins statistic: 0.5 for features without structure, towards 1 for clusters.

    Args:
        features: `[P, D]`, a sample of pixels.
        generator: draws the uniform points and the probes, on the CPU.
    """
    count = max(1, len(features) // 10)
    low, high = features.min(dim=0).values, features.max(dim=0).values
    uniform = torch.rand(count, features.shape[1], generator=generator).to(features)
    uniform = low + uniform * (high - low)
    probes = torch.randperm(len(features), generator=generator)[:count].to(features.device)
    from_uniform = torch.cdist(uniform, features).min(dim=1).values
    # The nearest to a probe is the probe itself.
    from_probe = torch.cdist(features[probes], features).topk(2, largest=False).values[:, 1]
    from_uniform, from_probe = from_uniform.sum(), from_probe.sum()
    return float(from_uniform / (from_uniform + from_probe).clamp(min=_EPSILON))


def unevenness(classifier: Tensor) -> float:
    """Mean distance, in radians, of the angles between classes to those of a regular simplex.

    The uniformity term of the Transfer Score (Yang et al. 2023, eq. 1).

    Args:
        classifier: weight vectors `[C, D]` of two or more classes.
    """
    rows = F.normalize(classifier.double(), dim=1)
    count = len(rows)
    first, second = torch.triu_indices(count, count, offset=1)
    angles = (rows @ rows.t())[first, second].clamp(-1.0, 1.0).arccos()
    return float((angles - math.acos(-1.0 / (count - 1))).abs().mean())


def _entropy(probabilities: Tensor) -> Tensor:
    safe = probabilities.clamp(min=_EPSILON)
    return -(probabilities * safe.log()).sum(dim=1)
