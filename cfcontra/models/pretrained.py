"""Starting from published weights: downloaded by name, or from a file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cfcontra.errors import InputError
from cfcontra.models.base import SegmentationModel

IMAGENET = "imagenet"


def load_pretrained(model: SegmentationModel, weights: str) -> None:
    """Put published weights into a network.

    Args:
        model: any network; see its `encoder_state` for the files it understands.
        weights: `imagenet`, which is downloaded, or a file with a state dict.

    Raises:
        InputError: the hub cannot be reached, the file cannot be read, or its weights do
            not fit; the keys are named.
    """
    if weights == IMAGENET:
        try:
            state = model.published_state()
        except InputError:
            raise
        except Exception as error:  # whatever the hubs' libraries raise without a network
            raise InputError(
                f"weights 'imagenet' for {model.name}: cannot be downloaded "
                f"({_first_line(error)}). {model.how_to_fetch()}"
            ) from error
    else:
        state = read_state(Path(weights))
    model.adopt(state, weights)


def fit_state(part: nn.Module, state: dict[str, Tensor], where: str) -> None:
    """Load a state dict of which nothing may be missing or left over.

    Counters of batch normalisation may be missing: old files have none.

    Raises:
        InputError: keys or shapes differ; some are named.
    """
    own = part.state_dict()
    counters = {key for key in own if key.endswith("num_batches_tracked")}
    missing = sorted(own.keys() - state.keys() - counters)
    unexpected = sorted(state.keys() - own.keys())
    shapes = sorted(
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    )
    for what, keys in (("missing", missing), ("unknown", unexpected), ("of another shape", shapes)):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise InputError(
                f"{where}: weights do not fit the network; {what}: {', '.join(keys[:3])}{more}."
            )
    nn.Module.load_state_dict(part, state, strict=False)  # some of the library override it


def read_state(path: Path) -> dict[str, Tensor]:
    """A state dict from a file.

    Raises:
        InputError: no such file, or it holds no state dict.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file. Give 'imagenet' or a file with a state dict.")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Foreign bytes are read as opcodes: any error may come of them.
        raise InputError(
            f"{path}: not a file of weights (a state dict that torch.save wrote), or truncated."
        ) from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"{path}: holds no state dict (names with tensors).")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return textwrap.shorten(text[0], 200, placeholder=" …") if text else type(error).__name__
