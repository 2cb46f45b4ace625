"""A backend runs a model file on frames; all backends are interchangeable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata

PREDICTED = ("mask", "confidence", "frame_scores")
"""The outputs of a file that make a `Prediction`, in the order of its fields."""

FRAME_SCORES = ("confidence", "entropy", "distance")
"""Columns of `Prediction.frame_scores`, each a mean over the frame's pixels: probability of the
most likely class (0–1), entropy of the classes' probabilities over log C (0–1), and 1 − cosine
between the features and the nearest class prototype of the training (0–2)."""


@dataclass(frozen=True)
class Prediction:
    """What a model says about a batch of frames.

    Attributes:
        mask: train ids uint8 `[N, H, W]`, at the frames' own size.
        confidence: probability of the most likely class as uint8 `[N, H, W]`, 255 is 1.
        frame_scores: of each whole frame float32 `[N, 3]`, see `FRAME_SCORES`; None where the
            backend does not give them.
    """

    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    frame_scores: NDArray[np.float32] | None = None


class Backend(ABC):
    """Runs one model on one device.

    The same frame gives the same mask whatever the backend, up to rounding. How a
    frame becomes a mask: letterbox to the working size (`Preprocessing`), network,
    logits up-sampled to the working size (bilinear), argmax, mask brought to the frame's
    size by nearest; confidence is the softmax maximum at logit resolution, resized
    (bilinear).

    Attributes:
        metadata: classes, preprocessing and record of the model.
        device: where it really runs, e.g. `cpu`, `cuda:0`.
        runtime: which runtime runs it, e.g. `torch 2.15`.
        gives_frame_scores: whether its predictions have `frame_scores`.
        streams: how many threads may call `predict` at the same time, and gain by it.
    """

    metadata: ModelMetadata
    device: str
    runtime: str
    gives_frame_scores: bool = False
    streams: int = 1

    def predict(self, frames: NDArray[np.uint8]) -> Prediction:
        """Segment frames.

        Args:
            frames: RGB uint8 `[N, H, W, 3]`.

        Raises:
            InputError: another shape or type.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise InputError(
                f"Frames must be RGB uint8 [N, H, W, 3], found {frames.dtype} {frames.shape}."
            )
        if 0 in frames.shape:
            raise InputError(f"Frames of shape {frames.shape} hold no pixels.")
        size = frames.shape[1], frames.shape[2]
        return self._enlarged(self._run(np.ascontiguousarray(frames)), size)

    def _enlarged(self, found: Prediction, size: tuple[int, int]) -> Prediction:
        """Masks of a file that gives them at a part of the frame's size, at its own."""
        stride = self.metadata.interface.mask_stride
        if stride == 1:
            return found
        mask, confidence = (
            part.repeat(stride, axis=1).repeat(stride, axis=2)[:, : size[0], : size[1]]
            for part in (found.mask, found.confidence)
        )
        return replace(found, mask=mask, confidence=confidence)

    @abstractmethod
    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        """What the model gives for frames uint8 `[N, H, W, 3]`, at its own mask stride."""

    def probabilities(self, frames: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.float32]:
        """Class probabilities of frames, for those who average several predictions.

        Args:
            frames: RGB uint8 `[N, H, W, 3]`.
            scale: factor on the working size.

        Returns:
            `[N, C, H, W]` at the frames' own size, or its part that the mask stride leaves.

        Raises:
            InputError: the model file gives masks alone.
        """
        raise InputError(
            f"{self.runtime}: this file gives masks, no probabilities that could be averaged. "
            "Use the model.pt that it was exported from, or export it with --outputs "
            "mask,confidence,probabilities."
        )

    def stages(self, frames: NDArray[np.uint8]) -> dict[str, float]:
        """Seconds that `prepare`, `network`, `mask` and, to and from a device, `transfer` take.

        Empty where nothing tells them apart.

        Args:
            frames: RGB uint8 `[N, H, W, 3]`.
        """
        return {}

    def describe(self) -> dict[str, Any]:
        """Runtime and device, for records and reports."""
        return {"runtime": self.runtime, "device": self.device}
