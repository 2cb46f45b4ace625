"""What an exported file says of itself, and whether it is still what was certified."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata

if TYPE_CHECKING:
    import onnx


def serialise(file: onnx.ModelProto) -> bytes:
    """The file's bytes, the same for the same content."""
    return bytes(file.SerializeToString(deterministic=True))


def graph_sha256(file: onnx.ModelProto) -> str:
    """Hexadecimal SHA-256 of the file's content with its metadata left out."""
    bare = type(file)()
    bare.CopyFrom(file)
    del bare.metadata_props[:]
    return hashlib.sha256(serialise(bare)).hexdigest()


def read_metadata(path: Path) -> ModelMetadata:
    """The metadata of an exported file.

    Raises:
        InputError: no such file, not an ONNX file of cfcontra's, damaged, or changed since it was
            certified.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise InputError(f"{path}: no such file. Give an .onnx that cfcontra-export wrote.")
    try:
        file = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise InputError(f"{path}: not an ONNX model, or damaged.") from error
    stored = {entry.key: entry.value for entry in file.metadata_props}
    metadata = ModelMetadata.from_properties(stored, str(path))
    certified = metadata.certificate.get("graph_sha256")
    if certified is not None and certified != graph_sha256(file):
        raise InputError(
            f"{path}: was changed after it was certified, so its certificate says nothing of it. "
            "Export it again."
        )
    return metadata
