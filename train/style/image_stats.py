"""Style by the statistics of the picture itself: AdaIN on pixels."""

from __future__ import annotations

from torch import Tensor

_EPSILON = 1e-5


def match_image_stats(source: Tensor, target: Tensor) -> Tensor:
    """Give each source frame its target frame's mean and deviation per channel.

    AdaIN (Huang & Belongie 2017, eq. 8) with pixels as features, clipped to 0–1.

    Args:
        source: `[N, 3, H, W]`, values 0–1.
        target: `[N, 3, h, w]`, values 0–1, the frame to look like.
    """
    source_mean = source.mean(dim=(2, 3), keepdim=True)
    source_std = source.std(dim=(2, 3), keepdim=True)
    target_mean = target.mean(dim=(2, 3), keepdim=True)
    target_std = target.std(dim=(2, 3), keepdim=True)
    scaled = (source - source_mean) / (source_std + _EPSILON)
    return (scaled * target_std + target_mean).clamp(0.0, 1.0)
