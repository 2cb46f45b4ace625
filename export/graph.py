"""The fused graph: uint8 frames in, uint8 mask and confidence out, the network between.

Says in ONNX operators what `cfcontra.runtime.torch_backend` says in PyTorch. The
certificate holds the two against each other for every exported file.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper, parser

from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.onnx_backend import NETWORK_PREFIX

OPSET = 18
NETWORK_INPUT = "images"
NETWORK_OUTPUT = "logits"
NETWORK_FEATURES = "features"
"""A second output of the network, where frame scores are asked for."""

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

# `cfcontra.frame_scores`: the entropy is log Σ exp(·) − Σ p·(logit − largest logit).
_FRAME_SCORES = """
    logit_rows = Shape<start=2, end=3>(logits)
    logit_columns = Shape<start=3, end=4>(logits)
    rows_inside = Mul(logit_rows, scaled_height)
    rows_doubled = Mul(rows_inside, two)
    rows_rounding = Add(rows_doubled, work_height_less_one)
    rows_divided = Div(rows_rounding, twice_work_height)
    visible_rows = Max(rows_divided, one)
    columns_inside = Mul(logit_columns, scaled_width)
    columns_doubled = Mul(columns_inside, two)
    columns_rounding = Add(columns_doubled, work_width_less_one)
    columns_divided = Div(columns_rounding, twice_work_width)
    visible_columns = Max(columns_divided, one)
    visible_end = Concat<axis=0>(visible_rows, visible_columns)

    weighted = Mul(exponentials, below_largest)
    weighted_sum = ReduceSum<keepdims=1>(weighted, one)
    weighted_mean = Mul(weighted_sum, top)
    log_partition = Log(partition)
    entropy = Sub(log_partition, weighted_mean)
    entropy_share = Div(entropy, log_classes)

    feature_squares = Mul(features, features)
    feature_energy = ReduceSum<keepdims=1>(feature_squares, one)
    feature_length = Sqrt(feature_energy)
    feature_length_safe = Max(feature_length, tiny)
    projections = Conv(features, prototypes)
    projection = ReduceMax<keepdims=1>(projections, one)
    closeness = Div(projection, feature_length_safe)
    distance = Sub(one_float, closeness)

    score_maps = Concat<axis=1>(top, entropy_share, distance)
    score_maps_visible = Slice(score_maps, crop_start, visible_end, crop_axes)
    frame_scores = ReduceMean<keepdims=0>(score_maps_visible, crop_axes)
"""


def fuse(
    network: onnx.ModelProto,
    metadata: ModelMetadata,
    prototypes: NDArray[np.float32] | None = None,
) -> onnx.ModelProto:
    """Put letterbox and normalisation before a network, mask and confidence behind it.

    Args:
        network: `images` float32 `[N, 3, h, w]` → `logits` float32 `[N, C, ·, ·]` and, for frame
            scores, `features` float32 `[N, D, ·, ·]`, with `(h, w)` the working size.
        metadata: working size, normalisation, classes and the outputs asked for.
        prototypes: of the classes `[K, D]`, for frame scores.

    Returns:
        `frames` uint8 `[N, H, W, 3]` RGB → `mask` and `confidence` uint8 `[N, H, W]`, and what
        else is asked for, with any N, H and W.
    """
    # The prefix keeps the network's names apart from the ones here.
    inner = compose.add_prefix(
        network, NETWORK_PREFIX, rename_inputs=False, rename_outputs=False
    ).graph
    outputs = metadata.interface.outputs
    scores = _FRAME_SCORES if "frame_scores" in outputs else ""
    before, after = _nodes(_GEOMETRY + _HEAD), _nodes(_MASK + _CONFIDENCE + scores)
    constants = _constants(metadata.preprocessing, metadata.label_space.num_classes)
    if scores:
        assert prototypes is not None, "frame scores need prototypes"
        constants |= _score_constants(metadata, prototypes)
    graph = helper.make_graph(
        [*before, *inner.node, *after],
        "cfcontra",
        [_uint8("frames", ["N", "H", "W", 3])],
        [_OUTPUTS[name] for name in outputs],
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
    return {name: np.asarray(value, np.int64) for name, value in integers.items()} | {
        name: np.asarray(value, np.float32) for name, value in floats.items()
    }


def _uint8(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape)


_OUTPUTS = {
    "mask": _uint8("mask", ["N", "H", "W"]),
    "confidence": _uint8("confidence", ["N", "H", "W"]),
    "frame_scores": helper.make_tensor_value_info("frame_scores", onnx.TensorProto.FLOAT, ["N", 3]),
}
