"""The parts of the fused graph, in ONNX operators as text.

They say what `cfcontra.runtime.torch_backend` and `cfcontra.frame_scores` say in PyTorch. The
certificate holds the two against each other for every exported file.
"""

from __future__ import annotations

SHAPE = """
    batch = Shape<start=0, end=1>(frames)
    height = Shape<start=1, end=2>(frames)
    width = Shape<start=2, end=3>(frames)
"""

SHAPE_NORMALISED = """
    batch = Shape<start=0, end=1>(frames)
    height = Shape<start=2, end=3>(frames)
    width = Shape<start=3, end=4>(frames)
    frames_float = Identity(frames)
"""

# `Preprocessing.scaled_size` in 64-bit integers.
GEOMETRY = """
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

MASK_SIZE = """
    mask_height = Identity(height)
    mask_width = Identity(width)
    twice_mask_height = Identity(twice_height)
    twice_mask_width = Identity(twice_width)
"""

MASK_SIZE_STRIDED = """
    height_up = Add(height, stride_less_one)
    mask_height = Div(height_up, stride)
    width_up = Add(width, stride_less_one)
    mask_width = Div(width_up, stride)
    twice_mask_height = Mul(mask_height, two)
    twice_mask_width = Mul(mask_width, two)
"""

# Transposing bytes before the cast moves a quarter of what transposing floats would.
BYTES = """
    frames_planar = Transpose<perm=[0, 3, 1, 2]>(frames)
    frames_float = Cast<to=1>(frames_planar)
"""

# TensorRT has bytes at a network's ends alone, and turns them into floats and back, no other type.
BYTES_AT_ENDS = """
    frames_interleaved = Cast<to=1>(frames)
    batch = Shape<start=0, end=1>(frames_interleaved)
    height = Shape<start=1, end=2>(frames_interleaved)
    width = Shape<start=2, end=3>(frames_interleaved)
    frames_float = Transpose<perm=[0, 3, 1, 2]>(frames_interleaved)
"""

_SCALED = """
    scaled_shape = Concat<axis=0>(batch, channels, scaled_height, scaled_width)
    scaled = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        frames_float, , , scaled_shape
    )
"""

_PADDED = """
    pad_height = Sub(work_height, scaled_height)
    pad_width = Sub(work_width, scaled_width)
    pads = Concat<axis=0>(zero, zero, zero, zero, zero, zero, pad_height, pad_width)
    padded = Pad(normalised, pads)
    images = Reshape(padded, images_shape)
"""

_NORMALISED = """
    scaled_to_one = Div(scaled, full)
    centred = Sub(scaled_to_one, mean)
    normalised = Div(centred, std)
"""

HEAD = _SCALED + _NORMALISED + _PADDED

# Frames that come normalised: what is padded is the mean colour, zero, here too.
HEAD_NORMALISED = _SCALED + "normalised = Identity(scaled)" + _PADDED

# Nearest gathers whole rows, transposed in between: copying single bytes is ten times slower.
MASK = """
    logits_shape = Concat<axis=0>(batch, classes, work_height, work_width)
    logits_full = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        logits, , , logits_shape
    )
    best = ArgMax<axis=1, keepdims=0>(logits_full)

    crop_end = Concat<axis=0>(scaled_height, scaled_width)
    height_scalar = Squeeze(mask_height)
    width_scalar = Squeeze(mask_width)
    row_numbers = Range(zero_scalar, height_scalar, one_scalar)
    row_doubled = Mul(row_numbers, two)
    row_centres = Add(row_doubled, one)
    row_products = Mul(row_centres, scaled_height)
    rows = Div(row_products, twice_mask_height)
    column_numbers = Range(zero_scalar, width_scalar, one_scalar)
    column_doubled = Mul(column_numbers, two)
    column_centres = Add(column_doubled, one)
    column_products = Mul(column_centres, scaled_width)
    columns = Div(column_products, twice_mask_width)
"""

MASK_OF_BYTES = """
    work_mask = Cast<to=2>(best)
    mask_turned = Transpose<perm=[0, 2, 1]>(work_mask)
    mask_wide = Gather<axis=1>(mask_turned, columns)
    mask_upright = Transpose<perm=[0, 2, 1]>(mask_wide)
    mask = Gather<axis=1>(mask_upright, rows)
"""

MASK_OF_FLOATS = """
    work_mask = Cast<to=1>(best)
    mask_turned = Transpose<perm=[0, 2, 1]>(work_mask)
    mask_wide = Gather<axis=1>(mask_turned, columns)
    mask_upright = Transpose<perm=[0, 2, 1]>(mask_wide)
    mask_float = Gather<axis=1>(mask_upright, rows)
    mask = Cast<to=2>(mask_float)
"""

# The softmax maximum is 1 / Σ exp(logit − largest logit).
CONFIDENCE = """
    largest = ReduceMax<keepdims=1>(logits, one)
    below_largest = Sub(logits, largest)
    exponentials = Exp(below_largest)
    partition = ReduceSum<keepdims=1>(exponentials, one)
    top = Reciprocal(partition)
    top_work_shape = Concat<axis=0>(batch, one, work_height, work_width)
    top_work = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        top, , , top_work_shape
    )
    top_cropped = Slice(top_work, crop_start, crop_end, crop_axes)
    top_frame_shape = Concat<axis=0>(batch, one, mask_height, mask_width)
    top_frame = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        top_cropped, , , top_frame_shape
    )
    top_plane = Squeeze(top_frame, one)
    top_levels = Mul(top_plane, full)
    top_rounded = Round(top_levels)
    top_clipped = Clip(top_rounded, lowest, full)
    confidence = Cast<to=2>(top_clipped)
"""

# `TorchBackend.probabilities`.
PROBABILITIES = """
    logits_cropped = Slice(logits_full, crop_start, crop_end, crop_axes)
    probabilities_shape = Concat<axis=0>(batch, classes, mask_height, mask_width)
    logits_frame = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(
        logits_cropped, , , probabilities_shape
    )
    probabilities = Softmax<axis=1>(logits_frame)
"""

# `cfcontra.frame_scores`: the entropy is log Σ exp(·) − Σ p·(logit − largest logit).
FRAME_SCORES = """
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
