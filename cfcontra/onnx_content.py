"""What an exported file says of itself, and whether it is still what was certified."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata
from cfcontra.onnx_ends import departing_end

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
    certificate = metadata.certificate
    if certificate and not isinstance(certificate.get("graph_sha256"), str):
        raise InputError(
            f"{path}: its certificate does not say which graph it is for, so it says nothing of "
            "this one. Export it again."
        )
    if certificate and certificate["graph_sha256"] != graph_sha256(file):
        raise InputError(
            f"{path}: was changed after it was certified, so its certificate says nothing of it. "
            "Export it again."
        )
    # Other ends than the graph has would show only in the middle of a run, or as wrong pixels.
    departing = departing_end(file.graph, metadata.interface, metadata.label_space.num_classes)
    if departing is not None:
        raise InputError(
            f"{path}: its metadata says that it takes and gives something else than its graph "
            f"does ({departing}). Export it again."
        )
    return metadata
