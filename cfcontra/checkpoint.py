"""`model.pt`: one file with weights and everything needed to use them, and no code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cfcontra.errors import InputError
from cfcontra.files import atomic_write_torch
from cfcontra.metadata import ModelMetadata
from cfcontra.models import SegmentationModel, build_model

FORMAT = "cfcontra.model"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """A loaded `model.pt`: the network with its weights, and its metadata.

    Attributes:
        prototypes: float32 `[C, D]`, a class each: the L2-normalised mean of the features before
            the classifier, zeros for a class that was not seen. None in files from before they
            were kept; then there are no frame scores.
    """

    model: SegmentationModel
    metadata: ModelMetadata
    prototypes: Tensor | None = None

    def known_prototypes(self) -> Tensor | None:
        """Prototypes `[K, D]` of the classes that have one; None without any."""
        if self.prototypes is None:
            return None
        known = self.prototypes[self.prototypes.any(dim=1)]
        return known if len(known) else None


def save_checkpoint(
    path: Path,
    model: SegmentationModel,
    metadata: ModelMetadata,
    prototypes: Tensor | None = None,
) -> None:
    """Write `model.pt`, whole or not at all.

    Args:
        prototypes: see `Checkpoint`.

    Raises:
        InputError: the file cannot be written.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "metadata": metadata.to_dict(),
        "state_dict": {
            name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
        },
    }
    if prototypes is not None:
        content["prototypes"] = prototypes.detach().float().cpu().contiguous()
    atomic_write_torch(path, content)


def load_checkpoint(path: Path) -> Checkpoint:
    """Open a `model.pt` (weights only: no code in it is run).

    Raises:
        InputError: missing, truncated, not ours, from a newer format, or with weights
            that do not fit its own model.
    """
    content = _read(path)
    metadata = ModelMetadata.from_dict(content["metadata"], str(path))
    options = dict(metadata.model)
    model = build_model(
        str(options.pop("name", "")), num_classes=metadata.label_space.num_classes, **options
    )
    _load_weights(model, content["state_dict"], path)
    prototypes = content.get("prototypes")
    _check_prototypes(prototypes, model, path)
    return Checkpoint(model.eval(), metadata, prototypes)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file. Give the model.pt of a finished run.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except Exception as error:  # Foreign bytes are read as opcodes: any error may come of them.
        raise InputError(
            f"{path}: not a cfcontra model, or truncated. Copy it again, or give the model.pt "
            "that cfcontra-train or cfcontra-adapt wrote."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: a torch file, but not a cfcontra model.pt.")
    version = content.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InputError(
            f"{path}: model format {version} is newer than this version of cfcontra understands "
            f"({FORMAT_VERSION}). Update cfcontra."
        )
    if not isinstance(content.get("state_dict"), dict) or "metadata" not in content:
        raise InputError(f"{path}: a cfcontra model without weights or metadata; it is damaged.")
    return content


def _load_weights(model: SegmentationModel, state: dict[str, Any], path: Path) -> None:
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise InputError(f"{path}: weights do not fit the model: {error}") from error
    if missing or unexpected:
        named = ", ".join([*missing[:3], *unexpected[:3]])
        raise InputError(
            f"{path}: {len(missing)} weights missing and {len(unexpected)} unexpected ({named} …)."
        )


def _check_prototypes(found: Any, model: SegmentationModel, path: Path) -> None:
    if found is None:
        return
    wanted = (model.out_classes, model.feature_channels)
    if not isinstance(found, Tensor) or found.shape != wanted or found.dtype != torch.float32:
        raise InputError(f"{path}: its class prototypes are not float32 {wanted}; it is damaged.")
    if not torch.isfinite(found).all():
        raise InputError(f"{path}: its class prototypes hold NaN or infinity; it is damaged.")


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
