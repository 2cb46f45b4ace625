"""A network to a clean, self-describing ONNX file: the same bytes for the same input."""

from __future__ import annotations

from typing import Any

import onnx
import torch
from torch import Tensor, nn

from cfcontra import __version__
from cfcontra.metadata import METADATA_KEY, ModelMetadata
from cfcontra.models import LogitsAndFeatures, SegmentationModel

from .graph import NETWORK_FEATURES, NETWORK_INPUT, NETWORK_OUTPUT, OPSET, fuse
from .simplify import compute_resized, quiet, simplified

_IR_VERSION = 8
"""The oldest that knows opset 18, so that the most runtimes open the file."""
_TRACES = {"doc_string", "metadata_props"}


def build_file(
    network: onnx.ModelProto,
    metadata: ModelMetadata,
    prototypes: Tensor | None = None,
    bytes_at_ends: bool = False,
) -> onnx.ModelProto:
    """The fused graph of a network, checked, without metadata yet.

    Args:
        network: what `export_network` gave, in any precision.
        metadata: its label space, and the preprocessing and interface to build in.
        prototypes: of the classes `[K, D]`, for frame scores.
        bytes_at_ends: see `fuse`.
    """
    rows = None if prototypes is None else prototypes.numpy()
    fused = simplified(fuse(network, metadata, rows, bytes_at_ends))
    fused.ir_version = _IR_VERSION
    fused.producer_name, fused.producer_version = "cfcontra", __version__
    onnx.checker.check_model(fused, full_check=True)
    return fused


def export_network(
    model: SegmentationModel, work_size: tuple[int, int], features: bool = False
) -> onnx.ModelProto:
    """The bare network at a fixed input size and any batch, without traces of its origin.

    Args:
        features: whether it also gives what its classifier sees.
    """
    # Two pictures, because torch.export takes a batch of one for a constant.
    example = torch.zeros(2, 3, *work_size)
    module: nn.Module = LogitsAndFeatures(model) if features else model
    with quiet():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[NETWORK_INPUT],
            output_names=[NETWORK_OUTPUT, *([NETWORK_FEATURES] if features else [])],
            verbose=False,
        )
    assert program is not None
    network: onnx.ModelProto = program.model_proto
    del network.graph.value_info[:]  # inferred again by whoever opens the file
    remove_traces(network)
    compute_resized(network)
    return network


def remove_traces(message: Any) -> None:
    """Clear doc strings and metadata (stack traces, module paths) everywhere below."""
    for field, value in message.ListFields():
        if field.name in _TRACES:
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for part in [value] if hasattr(value, "ListFields") else value:
                remove_traces(part)


def describe(file: onnx.ModelProto, metadata: ModelMetadata) -> None:
    """Write the metadata into the file, in place of what it had."""
    onnx.helper.set_model_props(file, {METADATA_KEY: metadata.to_json()})
