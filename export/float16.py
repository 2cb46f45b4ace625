"""A float network to fp16, except where real frames leave its range or lose too much to it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from .tensor_ranges import tensor_ranges
from .tidy import tidy

# Half of fp16's largest value, for frames that were not seen.
_LIMIT = 65504.0 / 2
_FIRST = 4  # operators: the least that holds a first convolution


def overflowing(
    network: onnx.ModelProto, images: Sequence[NDArray[np.float32]], threads: int | None = None
) -> set[str]:
    """Names of the operators that take or give values beyond half of fp16's range.

    Args:
        network: `images` float32 `[N, 3, h, w]` → `logits` float32 `[N, C, ·, ·]`.
        images: network inputs `[1, 3, h, w]`.
    """
    largest = {
        name: max(abs(low), abs(high))
        for name, (low, high) in tensor_ranges(network, images, threads).items()
    }
    for weights in network.graph.initializer:
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype == np.float32 and values.size:
            largest[weights.name] = float(np.abs(values).max())
    return {
        node.name
        for node in network.graph.node
        if any(not largest.get(name, 0.0) <= _LIMIT for name in (*node.input, *node.output))
    }


def ever_more_in_float(network: onnx.ModelProto, least: Collection[str]) -> Iterator[list[str]]:
    """Operators to keep in float32: `least`, then the first of the network as well.

    What the first operators round goes through all others, and rounding there costs most: of a
    small network, four in float32 left a ninth of the pixels that departed.

    Yields:
        Names in the network's order, every time more, up to half of the operators.
    """
    names = [node.name for node in network.graph.node]
    first = 0
    before: list[str] | None = None
    while first <= len(names) // 2:
        kept = [name for index, name in enumerate(names) if index < first or name in least]
        if kept != before:
            yield kept
        first, before = 2 * first or _FIRST, kept


def to_float16(network: onnx.ModelProto, kept: Collection[str]) -> onnx.ModelProto:
    """Convert weights and arithmetic to fp16; the ends stay float32.

    Args:
        kept: names of the operators that stay in float32.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    logging.getLogger("onnxruntime.transformers.float16").setLevel(logging.ERROR)
    made = convert_float_to_float16(copy, keep_io_types=True, node_block_list=[*kept])
    _drop_repeated(made.graph)
    _join(made.graph)
    return tidy(made)


def _drop_repeated(graph: onnx.GraphProto) -> None:
    """Leave one way of each tensor to float32: the converter makes one for each of its readers."""
    seen: set[str] = set()
    for node in [*graph.node]:
        if node.output[0] in seen:
            graph.node.remove(node)
        seen.add(node.output[0])


def _join(graph: onnx.GraphProto) -> None:
    """Leave out the way through fp16 between two operators that stay in float32."""
    halving = {n.output[0]: n.input[0] for n in graph.node if _casts(n, TensorProto.FLOAT16)}
    doubling = {
        n.output[0]: halving[n.input[0]]
        for n in graph.node
        if _casts(n, TensorProto.FLOAT) and n.input[0] in halving
    }
    ends = {output.name for output in graph.output}
    for node in graph.node:
        if ends.intersection(node.output) and node.output[0] in doubling:
            node.op_type = "Identity"
            del node.attribute[:]
            node.input[0] = doubling[node.output[0]]
        for index, name in enumerate(node.input):
            node.input[index] = doubling.get(name, name)
    used = ends.union(*(node.input for node in graph.node))
    for node in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in used]:
        graph.node.remove(node)


def _casts(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == kind
