"""Style by swapping low frequencies: FDA."""

from __future__ import annotations

import torch
from torch import Tensor


def swap_low_frequencies(source: Tensor, target: Tensor, beta: float) -> Tensor:
    """Give each source frame the amplitudes of its target frame's low frequencies.

    Fourier Domain Adaptation (Yang & Soatto 2020, eq. 3), clipped to 0–1; the phase stays
    the source's. The square of frequencies reaches `⌊beta · shorter side⌋` each way.

    Args:
        source: `[N, 3, H, W]`, values 0–1.
        target: `[N, 3, H, W]`, values 0–1, the frame to look like.
        beta: 0–0.5.
    """
    height, width = source.shape[-2:]
    reach = int(beta * min(height, width))
    spectrum = torch.fft.rfft2(source.float())
    amplitude = torch.fft.rfft2(target.float()).abs()
    low = torch.zeros(height, width // 2 + 1, dtype=torch.bool, device=source.device)
    low[: reach + 1, : reach + 1] = True
    if reach:
        low[-reach:, : reach + 1] = True
    swapped = torch.polar(torch.where(low, amplitude, spectrum.abs()), spectrum.angle())
    restored: Tensor = torch.fft.irfft2(swapped, s=(height, width))
    return restored.clamp(0.0, 1.0)
