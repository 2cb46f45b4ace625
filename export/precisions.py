"""The precisions an exported network can have, and how each is made and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .certificate import Thresholds
from .float16 import to_float16
from .int8 import Activations, quantise

THRESHOLDS = {
    "fp32": Thresholds(),
    "fp16": Thresholds(
        agreement=0.998,
        class_agreement=0.95,
        confidence_mean=1.0,
        confidence_max=128,
        miou=0.005,
    ),
    "int8": Thresholds(
        agreement=0.98,
        class_agreement=0.7,
        confidence_mean=8.0,
        confidence_max=255,
        miou=0.01,
    ),
}
# Logits are judged where masks will be: what is enough there is enough for the certificate.
_INT8_MARGIN = 0.002


@dataclass(frozen=True)
class Converted:
    """A network in its final precision.

    Attributes:
        record: what the certificate says of the conversion.
    """

    network: onnx.ModelProto
    record: dict[str, Any] = field(default_factory=dict)


def convert(
    network: onnx.ModelProto,
    precision: str,
    images: Sequence[NDArray[np.float32]],
    activations: Activations,
    threads: int | None,
    progress: Callable[[str], None],
) -> Converted:
    """Bring a float32 network to a precision; its ends stay float32.

    Args:
        precision: a key of `THRESHOLDS`.
        images: network inputs `[1, 3, h, w]` of real frames; not needed for fp32.
        activations: of int8, see `quantise`.
    """
    if precision == "fp32":
        return Converted(network)
    if precision == "fp16":
        progress(f"looking for what leaves fp16's range on {len(images)} frames")
        halved = to_float16(network, images)
        return Converted(halved.network, {"float_layers": [*halved.kept]})
    wanted = THRESHOLDS["int8"].agreement + _INT8_MARGIN
    made = quantise(network, images, wanted, activations, threads, progress)
    record = {
        "activations": activations,
        "calibration": {"frames": len(images), "method": made.method},
        "float_layers": [*made.kept],
    }
    return Converted(made.network, record)
