"""What TensorRT's ONNX parser takes, by its documentation.

From "Supported ONNX Operators" of onnx-tensorrt 10.15 (github.com/onnx/onnx-tensorrt,
docs/operators.md), and `DataType.UINT8` in the Python API of TensorRT 11.4.
"""

from __future__ import annotations

SOURCE = "onnx-tensorrt 10.15, docs/operators.md"
OPSETS = range(9, 25)

FLOATS = frozenset({"FLOAT", "FLOAT16", "BFLOAT16"})
NUMBERS = FLOATS | {"INT32", "INT64"}
VALUES = NUMBERS | {"BOOL"}

_BY_TYPES: tuple[tuple[frozenset[str], str], ...] = (
    (
        FLOATS,
        "Acos Acosh Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv "
        "ConvTranspose Cos Cosh CumSum Dropout Einsum Elu Erf Exp Floor Gemm GlobalAveragePool "
        "GlobalLpPool GlobalMaxPool GroupNormalization HardSigmoid HardSwish Hardmax "
        "InstanceNormalization IsInf LayerNormalization LeakyRelu Log LogSoftmax LpNormalization "
        "LpPool LRN MatMul MaxPool MeanVarianceNormalization PRelu QuantizeLinear Reciprocal "
        "Resize RMSNormalization Round Selu Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt Tan "
        "Tanh ThresholdedRelu Upsample",
    ),
    (frozenset({"FLOAT", "FLOAT16"}), "DeformConv GridSample Mish NonMaxSuppression NonZero"),
    (
        NUMBERS,
        "Abs Add ArgMax ArgMin DepthToSpace Div Equal Gelu Greater GreaterOrEqual IsNaN Less "
        "LessOrEqual Max Mean Min Mod Mul Neg Pad Pow Range ReduceL1 ReduceL2 ReduceLogSum "
        "ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu "
        "ScatterElements ScatterND Shrink Sign SpaceToDepth Sub Sum TopK",
    ),
    (
        VALUES,
        "Concat ConstantOfShape Expand EyeLike Flatten Gather GatherElements GatherND Identity "
        "OneHot Reshape ReverseSequence Shape Size Slice Split Squeeze Tile Transpose Trilu "
        "Unsqueeze Where",
    ),
    (VALUES | {"UINT8"}, "Cast CastLike"),
    (VALUES | {"INT4", "FLOAT8E4M3FN", "FLOAT4E2M1"}, "Constant"),
    (frozenset({"INT8", "INT4", "FLOAT8E4M3FN", "FLOAT4E2M1"}), "DequantizeLinear"),
    (frozenset({"BOOL"}), "And Not Or Xor"),
)
TYPES = {name: types for types, names in _BY_TYPES for name in names.split()}
"""Operators and the types of the values they work on. Loops and recurrent ones are left out."""

_FIRST_INPUT = (
    *("CumSum", "DequantizeLinear", "Expand", "Gather", "GatherElements", "GatherND", "OneHot"),
    *("Pad", "QuantizeLinear", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Tile", "TopK"),
    *("Trilu", "Unsqueeze", "Upsample"),
)
DATA_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(_FIRST_INPUT, (0,)),
    **dict.fromkeys((name for name in TYPES if name.startswith("Reduce")), (0,)),
    **dict.fromkeys(("ScatterElements", "ScatterND"), (0, 2)),
    "ConstantOfShape": (),
    "Where": (1, 2),
}
"""Which inputs hold the values, where others hold sizes, places or conditions."""

CONSTANT_INPUTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys((name for name in TYPES if name.startswith("Reduce")), (1,)),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "CumSum", "OneHot"), (1,)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
}
"""Inputs that must be known when the engine is built."""

RESIZE: dict[str, tuple[str, ...]] = {
    "mode": ("nearest", "linear"),
    "coordinate_transformation_mode": (
        *("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn"),
        *("asymmetric", "align_corners"),
    ),
    "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
    "keep_aspect_ratio_policy": ("stretch",),
}
"""Values of Resize's attributes that are taken; antialias is not."""
