"""What an exported file says of itself, and whether it is still what was certified."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.errors import InputError
from cfcontra.interface import Interface
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
    _require_interface(file, metadata.interface, path)
    return metadata


def _require_interface(file: onnx.ModelProto, interface: Interface, path: Path) -> None:
    """Other ends than the graph has would show only in the middle of a run."""
    from onnx import TensorProto

    kind = TensorProto.UINT8 if interface.embed_normalisation else TensorProto.FLOAT
    ends = [value.name for value in file.graph.input], [value.name for value in file.graph.output]
    if ends == (["frames"], [*interface.outputs]):
        tensor = file.graph.input[0].type.tensor_type
        dims = [dim.dim_value or None for dim in tensor.shape.dim]
        size = interface.size or (None, None)
        wanted = (
            [interface.batch, *size, 3]
            if interface.embed_normalisation
            else [interface.batch, 3, *size]
        )
        if tensor.elem_type == kind and dims == wanted:
            return
    raise InputError(
        f"{path}: its metadata says that it takes and gives something else than its graph does. "
        "Export it again."
    )
