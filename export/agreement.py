"""How far a changed network answers as the one it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from .graph import NETWORK_INPUT, NETWORK_OUTPUT

if TYPE_CHECKING:
    import onnxruntime

_ERRORS_ONLY = 3


def cpu_session(
    model: onnx.ModelProto, threads: int | None = None, optimised: bool = True
) -> onnxruntime.InferenceSession:
    """A model in onnxruntime on the CPU, without its warnings.

    Args:
        optimised: fused operators are faster, and have no values in between.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimised:
        level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


class Runner:
    """A bare network in onnxruntime on the CPU."""

    def __init__(self, network: onnx.ModelProto, threads: int | None = None) -> None:
        self._session = cpu_session(network, threads)

    def values(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Everything that the network gives for one image, by name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, {NETWORK_INPUT: image}), strict=True))

    def run(self, images: Sequence[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Logits `[1, C, ·, ·]` of each image `[1, 3, h, w]`."""
        for image in images:
            yield self.values(image)[NETWORK_OUTPUT]


def most_likely(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The most likely class of each of the logits' pixels, uint8 `[N, ·, ·]`."""
    classes: NDArray[np.uint8] = logits.argmax(axis=1).astype(np.uint8)
    return classes


def agreement(
    network: onnx.ModelProto,
    images: Sequence[NDArray[np.float32]],
    expected: Sequence[NDArray[np.uint8]],
    threads: int | None = None,
) -> float:
    """Share of the logits' pixels, over all images, with the expected class.

    Args:
        images: network inputs `[1, 3, h, w]`.
        expected: `most_likely` of what they should give.
    """
    equal = total = 0
    for logits, classes in zip(Runner(network, threads).run(images), expected, strict=True):
        equal += int(np.count_nonzero(most_likely(logits) == classes))
        total += classes.size
    return equal / total
