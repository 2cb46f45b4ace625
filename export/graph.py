"""The fused graph: frames in, mask and confidence out, the network between."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper, parser

from cfcontra.interface import Interface
from cfcontra.metadata import ModelMetadata
from cfcontra.onnx_ends import input_of, outputs_of
from cfcontra.runtime.onnx_backend import NETWORK_PREFIX

from . import graph_parts

OPSET = 18
NETWORK_INPUT = "images"
NETWORK_OUTPUT = "logits"
NETWORK_FEATURES = "features"
"""A second output of the network, where frame scores are asked for."""


def fuse(
    network: onnx.ModelProto,
    metadata: ModelMetadata,
    prototypes: NDArray[np.float32] | None = None,
    bytes_at_ends: bool = False,
) -> onnx.ModelProto:
    """Put letterbox and normalisation before a network, mask and confidence behind it.

    Args:
        network: `images` float32 `[N, 3, h, w]` → `logits` float32 `[N, C, ·, ·]` and, for frame
            scores, `features` float32 `[N, D, ·, ·]`, with `(h, w)` the working size.
        metadata: working size, normalisation, classes and the interface asked for.
        prototypes: of the classes `[K, D]`, for frame scores.
        bytes_at_ends: no operator works on bytes, as TensorRT asks; a little slower on CPUs.

    Returns:
        `frames` uint8 `[N, H, W, 3]` RGB → `mask` and `confidence` uint8 `[N, H, W]`, with any N,
        H and W; or as the interface says.
    """
    # The prefix keeps the network's names apart from the ones here.
    inner = compose.add_prefix(
        network, NETWORK_PREFIX, rename_inputs=False, rename_outputs=False
    ).graph
    interface = metadata.interface
    before, after = (_nodes(text) for text in _texts(interface, bytes_at_ends))
    constants = _constants(metadata)
    if "frame_scores" in interface.outputs:
        assert prototypes is not None, "frame scores need prototypes"
        constants |= _score_constants(metadata, prototypes)
    graph = helper.make_graph(
        [*before, *inner.node, *after],
        "cfcontra",
        [input_of(interface)],
        outputs_of(interface, metadata.label_space.num_classes),
        initializer=[
            *(numpy_helper.from_array(value, name) for name, value in constants.items()),
            *inner.initializer,
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def _texts(interface: Interface, bytes_at_ends: bool) -> tuple[str, str]:
    """What stands before the network, and what behind it."""
    if not interface.embed_normalisation:
        frames, head = graph_parts.SHAPE_NORMALISED, graph_parts.HEAD_NORMALISED
    elif bytes_at_ends:
        frames, head = graph_parts.BYTES_AT_ENDS, graph_parts.HEAD
    else:
        frames, head = graph_parts.SHAPE + graph_parts.BYTES, graph_parts.HEAD
    after = graph_parts.MASK_SIZE if interface.mask_stride == 1 else graph_parts.MASK_SIZE_STRIDED
    after += graph_parts.MASK + graph_parts.CONFIDENCE
    after += graph_parts.MASK_OF_FLOATS if bytes_at_ends else graph_parts.MASK_OF_BYTES
    if "probabilities" in interface.outputs:
        after += graph_parts.PROBABILITIES
    if "frame_scores" in interface.outputs:
        after += graph_parts.FRAME_SCORES
    return frames + graph_parts.GEOMETRY + head, after


def _nodes(text: str) -> list[onnx.NodeProto]:
    nodes = list(parser.parse_graph(f"part () => () {{ {text} }}").node)
    for node in nodes:
        node.name = node.output[0]
    return nodes


def _constants(metadata: ModelMetadata) -> dict[str, NDArray[Any]]:
    work_height, work_width = metadata.preprocessing.work_size
    interface = metadata.interface
    batch = -1 if interface.batch is None else interface.batch
    if interface.batch is not None and interface.size is not None:
        # As the input has it. Said in full, folding would take the operator away that gives
        # `images`, and then draw the padding into the network.
        batch = 0
    integers = {
        "zero": [0],
        "one": [1],
        "two": [2],
        "channels": [3],
        "classes": [metadata.label_space.num_classes],
        "work_height": [work_height],
        "work_width": [work_width],
        "zero_scalar": 0,
        "one_scalar": 1,
        "images_shape": [batch, 3, work_height, work_width],
        "crop_start": [0, 0],
        "crop_axes": [2, 3],
        "stride": [interface.mask_stride],
        "stride_less_one": [interface.mask_stride - 1],
    }
    floats = {
        "full": 255.0,
        "lowest": 0.0,
        "mean": np.reshape(metadata.preprocessing.mean, (1, 3, 1, 1)),
        "std": np.reshape(metadata.preprocessing.std, (1, 3, 1, 1)),
    }
    return _typed(integers, floats)


def _score_constants(
    metadata: ModelMetadata, prototypes: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    height, width = metadata.preprocessing.work_size
    integers = {
        "work_height_less_one": [height - 1],
        "work_width_less_one": [width - 1],
        "twice_work_height": [2 * height],
        "twice_work_width": [2 * width],
    }
    floats = {
        "one_float": 1.0,
        "tiny": 1e-12,
        "log_classes": math.log(metadata.label_space.num_classes),
        "prototypes": prototypes[:, :, None, None],
    }
    return _typed(integers, floats)


def _typed(integers: dict[str, Any], floats: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(value, np.int64) for name, value in integers.items()} | {
        name: np.asarray(value, np.float32) for name, value in floats.items()
    }
