"""What the runtimes of exported files share: what such a file takes, and what it gives."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata
from cfcontra.runtime.base import PREDICTED, Backend, Prediction

Arrays = list[NDArray[np.generic]]


class ExportedBackend(Backend):
    """Feeds an exported file as its interface asks.

    A file of a fixed batch is given as many frames as it takes, the last one repeated; one that
    takes normalised frames is given those; one of a fixed size refuses others.

    Args:
        metadata: of the file.
    """

    def __init__(self, metadata: ModelMetadata) -> None:
        self.metadata = metadata
        outputs = metadata.interface.outputs
        self._predicted = [name for name in PREDICTED if name in outputs]
        self.gives_frame_scores = "frame_scores" in outputs

    @abstractmethod
    def _infer(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        """The outputs of these names for frames of a type, size and number that the file takes."""

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        return Prediction(*self._outputs(frames, self._predicted))  # type: ignore[arg-type]

    def probabilities(self, frames: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.float32]:
        if "probabilities" not in self.metadata.interface.outputs:
            return super().probabilities(frames, scale)
        if scale != 1.0:
            raise InputError(
                f"{self.runtime}: this file runs at one working size. For other scales use the "
                "model.pt that it was exported from."
            )
        (found,) = self._outputs(frames, ["probabilities"])
        return found  # type: ignore[return-value]

    def _outputs(self, frames: NDArray[np.uint8], names: Sequence[str]) -> Arrays:
        parts = [self._infer(part, names) for part in self._parts(frames)]
        if len(parts) == 1 and len(parts[0][0]) == len(frames):
            return parts[0]
        joined = [np.concatenate(found) for found in zip(*parts, strict=True)]
        return [found[: len(frames)] for found in joined]

    def _parts(self, frames: NDArray[np.uint8]) -> Iterator[NDArray[np.generic]]:
        """Frames as the file takes them, in batches of the size it takes.

        Raises:
            InputError: it takes frames of another size.
        """
        interface = self.metadata.interface
        size, wanted = frames.shape[1:3], interface.size
        if wanted is not None and size != wanted:
            raise InputError(
                f"This file takes frames of {wanted[0]}x{wanted[1]} alone, not "
                f"{size[0]}x{size[1]}. Export it again without --size, or with this one."
            )
        batch = interface.batch or len(frames)
        for start in range(0, len(frames), batch):
            part = frames[start : start + batch]
            if len(part) < batch:
                part = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
            yield fed(part, self.metadata)

    def _shapes(self, frames: NDArray[np.generic]) -> dict[str, tuple[int, ...]]:
        """Shapes of the outputs for frames as the file takes them."""
        interface = self.metadata.interface
        height, width = frames.shape[1:3] if interface.embed_normalisation else frames.shape[2:4]
        count, size = len(frames), interface.mask_size(height, width)
        shapes = {
            "mask": (count, *size),
            "confidence": (count, *size),
            "frame_scores": (count, 3),
            "probabilities": (count, self.metadata.label_space.num_classes, *size),
        }
        return {name: shapes[name] for name in interface.outputs}


def fed(frames: NDArray[np.uint8], metadata: ModelMetadata) -> NDArray[np.generic]:
    """Frames as a file takes them, see `Interface.frames`."""
    if metadata.interface.embed_normalisation:
        return frames
    preprocessing = metadata.preprocessing
    mean, std = (np.asarray(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
    normalised = (frames.astype(np.float32) / np.float32(255.0) - mean) / std
    return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))
