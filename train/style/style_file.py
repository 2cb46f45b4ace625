"""`style.pt`: a trained style network, encoder and decoder, in one file without code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cfcontra.errors import InputError
from cfcontra.files import atomic_write_torch

from .adain import StyleNetwork
from .encoders import build_encoder

_FORMAT, _VERSION = "cfcontra.style", 1


def save_style(path: Path, network: StyleNetwork, training: dict[str, Any]) -> None:
    """Write a style network, whole or not at all.

    Args:
        training: plain data on how it was trained; no path of this machine.

    Raises:
        InputError: the file cannot be written.
    """
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "encoder": network.encoder.kind,
        "training": training,
        "state_dict": {name: value.detach().cpu() for name, value in network.state_dict().items()},
    }
    atomic_write_torch(path, content)


def load_style(path: Path) -> StyleNetwork:
    """Open a `style.pt`, frozen and ready for use.

    Raises:
        InputError: missing, damaged, or something else.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such style file. `cfcontra-train style` writes one, for --style.file."
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content["format"] != _FORMAT or content["version"] > _VERSION:
            raise ValueError("another format")
        network = StyleNetwork(build_encoder(content["encoder"], str(path)))
        network.load_state_dict(content["state_dict"])
    except InputError:
        raise
    except Exception as error:  # Foreign bytes are read as opcodes: any error may come of them.
        raise InputError(
            f"{path}: not a style file of this version of cfcontra, or damaged. Write it again "
            "with `cfcontra-train style`."
        ) from error
    return network.requires_grad_(False).eval()
