"""Which arithmetic a run uses."""

from __future__ import annotations

from typing import Literal

import torch

from cfcontra.errors import InputError

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


def choose_precision(name: str, device: torch.device) -> LightningPrecision:
    """Lightning's precision for a recipe's `auto`, `fp32`, `bf16` or `fp16`.

    `auto` is bf16 where the hardware multiplies it natively (CUDA since Ampere, CPUs with
    matrix tiles), which halves the time of a step or better; fp32 elsewhere.

    Raises:
        InputError: fp16 on a CPU.
    """
    if name == "fp32":
        return "32-true"
    if name == "bf16":
        return "bf16-mixed"
    if name == "fp16":
        if device.type == "cpu":
            raise InputError("precision fp16 needs a CUDA GPU; use auto, bf16 or fp32 on a CPU.")
        return "16-mixed"
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu.get_capabilities().get("amx_bf16", False)
    return "bf16-mixed" if native else "32-true"
