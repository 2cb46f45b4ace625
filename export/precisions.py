"""The precisions an exported network can have, and how each is made and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .certificate import Thresholds
from .float16 import ever_more_in_float, overflowing, to_float16
from .int8 import Activations, Quantised, Quantiser

THRESHOLDS = {
    "fp32": Thresholds(),
    "fp16": Thresholds(
        agreement=0.998,
        class_agreement=0.95,
        confidence_mean=1.0,
        confidence_max=128,
        miou=0.005,
        frame_scores=0.01,
    ),
    "int8": Thresholds(
        agreement=0.98,
        class_agreement=0.7,
        confidence_mean=8.0,
        confidence_max=255,
        miou=0.01,
        frame_scores=0.05,
    ),
}
# What agrees so much on the frames of the calibration may agree less on those of the certificate.
_INT8_MARGINS = (0.002, 0.006, 0.010, 0.014)


@dataclass(frozen=True)
class Converted:
    """A network in its final precision.

    Attributes:
        record: what the certificate says of the conversion.
    """

    network: onnx.ModelProto
    record: dict[str, Any] = field(default_factory=dict)


def conversions(
    network: onnx.ModelProto,
    precision: str,
    images: Sequence[NDArray[np.float32]],
    activations: Activations,
    threads: int | None,
    progress: Callable[[str], None],
) -> Iterator[Converted]:
    """Bring a float32 network to a precision; its ends stay float32.

    Yields:
        What to try: the first is the fastest, later ones keep more layers in float.

    Args:
        precision: a key of `THRESHOLDS`.
        images: network inputs `[1, 3, h, w]` of real frames; not needed for fp32.
        activations: of int8, see `quantise`.
    """
    if precision == "fp32":
        yield Converted(network)
    elif precision == "fp16":
        progress(f"looking for what leaves fp16's range on {len(images)} frames")
        for kept in ever_more_in_float(network, overflowing(network, images, threads)):
            yield Converted(to_float16(network, kept), {"float_layers": kept})
    else:
        quantiser = Quantiser(network, images, activations, threads, progress)
        for made in _ever_more_in_float(quantiser):
            record = {
                "activations": activations,
                "calibration": {"frames": len(images), "method": made.method},
                "float_layers": [*made.kept],
            }
            yield Converted(made.network, record)


def _ever_more_in_float(quantiser: Quantiser) -> Iterator[Quantised]:
    """First as the frames of the calibration ask for, then half of what is left at a time.

    One layer at least is int8.
    """
    before = -1
    for margin in _INT8_MARGINS:
        made = quantiser.reach(THRESHOLDS["int8"].agreement + margin)
        if before < len(made.kept) < quantiser.layers:
            before = len(made.kept)
            yield made
    while next_one := quantiser.with_more_in_float(max(before, 0)):
        before = len(next_one.kept)
        yield next_one
