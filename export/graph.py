"""The fused graph: uint8 frames in, uint8 mask and confidence out, the network between.

Says in ONNX operators what `cfcontra.runtime.torch_backend` says in PyTorch. The
certificate holds the two against each other for every exported file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper, parser

from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.onnx_backend import NETWORK_PREFIX

OPSET = 18
NETWORK_INPUT = "images"
NETWORK_OUTPUT = "logits"

# `Preprocessing.scaled_size` in 64-bit integers.
_GEOMETRY = """
    batch = Shape<start=0, end=1>(frames)
    height = Shape<start=1, end=2>(frames)
    width = Shape<start=2, end=3>(frames)
    height_share = Mul(height, work_width)
    width_share = Mul(width, work_height)
    width_limits = LessOrEqual(height_share, width_share)

    twice_height = Mul(height, two)
    twice_width = Mul(width, two)
    height_doubled = Mul(height_share, two)
    height_rounding = Add(height_doubled, width)
    height_rounded = Div(height_rounding, twice_width)
    height_fitted = Max(height_rounded, one)
    scaled_height = Where(width_limits, height_fitted, work_height)
    width_doubled = Mul(width_share, two)
    width_rounding = Add(width_doubled, height)
    width_rounded = Div(width_rounding, twice_height)
    width_fitted = Max(width_rounded, one)
    scaled_width = Where(width_limits, work_width, width_fitted)
"""

# Transposing bytes before the cast moves a quarter of what transposing floats would.
_HEAD = """
    frames_planar = Transpose<perm=[0, 3, 1, 2]>(frames)
    frames_float = Cast<to=1>(frames_planar)
    scaled_shape = Concat<axis=0>(batch, channels, scaled_height, scaled_width)
    scaled = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        frames_float, , , scaled_shape
    )
    scaled_to_one = Div(scaled, full)
    centred = Sub(scaled_to_one, mean)
    normalised = Div(centred, std)
    pad_height = Sub(work_height, scaled_height)
    pad_width = Sub(work_width, scaled_width)
    pads = Concat<axis=0>(zero, zero, zero, zero, zero, zero, pad_height, pad_width)
    padded = Pad(normalised, pads)
    images = Reshape(padded, images_shape)
"""

# Nearest gathers whole rows, transposed in between: copying single bytes is ten times slower.
_MASK = """
    logits_shape = Concat<axis=0>(batch, classes, work_height, work_width)
    logits_full = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        logits, , , logits_shape
    )
    best = ArgMax<axis=1, keepdims=0>(logits_full)
    work_mask = Cast<to=2>(best)

    height_scalar = Squeeze(height)
    width_scalar = Squeeze(width)
    row_numbers = Range(zero_scalar, height_scalar, one_scalar)
    row_doubled = Mul(row_numbers, two)
    row_centres = Add(row_doubled, one)
    row_products = Mul(row_centres, scaled_height)
    rows = Div(row_products, twice_height)
    column_numbers = Range(zero_scalar, width_scalar, one_scalar)
    column_doubled = Mul(column_numbers, two)
    column_centres = Add(column_doubled, one)
    column_products = Mul(column_centres, scaled_width)
    columns = Div(column_products, twice_width)

    mask_turned = Transpose<perm=[0, 2, 1]>(work_mask)
    mask_wide = Gather<axis=1>(mask_turned, columns)
    mask_upright = Transpose<perm=[0, 2, 1]>(mask_wide)
    mask = Gather<axis=1>(mask_upright, rows)
"""

# The softmax maximum is 1 / Σ exp(logit − largest logit).
_CONFIDENCE = """
    largest = ReduceMax<keepdims=1>(logits, one)
    below_largest = Sub(logits, largest)
    exponentials = Exp(below_largest)
    partition = ReduceSum<keepdims=1>(exponentials, one)
    top = Reciprocal(partition)
    top_work_shape = Concat<axis=0>(batch, one, work_height, work_width)
    top_work = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        top, , , top_work_shape
    )
    crop_end = Concat<axis=0>(scaled_height, scaled_width)
    top_cropped = Slice(top_work, crop_start, crop_end, crop_axes)
    top_frame_shape = Concat<axis=0>(batch, one, height, width)
    top_frame = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        top_cropped, , , top_frame_shape
    )
    top_plane = Squeeze(top_frame, one)
    top_levels = Mul(top_plane, full)
    top_rounded = Round(top_levels)
    top_clipped = Clip(top_rounded, lowest, full)
    confidence = Cast<to=2>(top_clipped)
"""


def fuse(network: onnx.ModelProto, preprocessing: Preprocessing, classes: int) -> onnx.ModelProto:
    """Put letterbox and normalisation before a network, mask and confidence behind it.

    Args:
        network: `images` float32 `[N, 3, h, w]` → `logits` float32 `[N, C, ·, ·]`, with
            `(h, w)` the working size.
        preprocessing: working size and normalisation.
        classes: number of classes `C`.

    Returns:
        `frames` uint8 `[N, H, W, 3]` RGB → `mask` and `confidence` uint8 `[N, H, W]`, with
        any N, H and W.
    """
    # The prefix keeps the network's names apart from the ones here.
    inner = compose.add_prefix(
        network, NETWORK_PREFIX, rename_inputs=False, rename_outputs=False
    ).graph
    before, after = _nodes(_GEOMETRY + _HEAD), _nodes(_MASK + _CONFIDENCE)
    constants = _constants(preprocessing, classes)
    graph = helper.make_graph(
        [*before, *inner.node, *after],
        "cfcontra",
        [_uint8("frames", ["N", "H", "W", 3])],
        [_uint8("mask", ["N", "H", "W"]), _uint8("confidence", ["N", "H", "W"])],
        initializer=[
            *(numpy_helper.from_array(value, name) for name, value in constants.items()),
            *inner.initializer,
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])


def _nodes(text: str) -> list[onnx.NodeProto]:
    nodes = list(parser.parse_graph(f"part () => () {{ {text} }}").node)
    for node in nodes:
        node.name = node.output[0]
    return nodes


def _constants(preprocessing: Preprocessing, classes: int) -> dict[str, NDArray[Any]]:
    work_height, work_width = preprocessing.work_size
    integers = {
        "zero": [0],
        "one": [1],
        "two": [2],
        "channels": [3],
        "classes": [classes],
        "work_height": [work_height],
        "work_width": [work_width],
        "zero_scalar": 0,
        "one_scalar": 1,
        "images_shape": [-1, 3, work_height, work_width],
        "crop_start": [0, 0],
        "crop_axes": [2, 3],
    }
    floats = {
        "full": 255.0,
        "lowest": 0.0,
        "mean": np.reshape(preprocessing.mean, (1, 3, 1, 1)),
        "std": np.reshape(preprocessing.std, (1, 3, 1, 1)),
    }
    return {name: np.asarray(value, np.int64) for name, value in integers.items()} | {
        name: np.asarray(value, np.float32) for name, value in floats.items()
    }


def _uint8(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape)
