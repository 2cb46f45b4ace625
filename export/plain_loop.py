"""What a competent user would write around the bare network: the baseline of the benchmarks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from cfcontra.device import resolve_device
from cfcontra.errors import InputError
from cfcontra.onnx_content import read_metadata
from cfcontra.opencv import cv2
from cfcontra.runtime.base import Prediction
from cfcontra.runtime.onnx_cuda import providers_of, require_provider

from .graph import NETWORK_INPUT, NETWORK_OUTPUT

_ERRORS_ONLY = 3


class PlainLoop:
    """OpenCV and numpy before and after the network of an exported file, in onnxruntime.

    Args:
        path: file written by `cfcontra-export`, whose network is taken out.
        device: `auto`, `cpu` or `cuda[:N]`; a device asked for is used or refused.
        threads: CPU threads, None for onnxruntime's default.

    Raises:
        InputError: not an exported file, or one whose metadata speaks of another network.
        MissingDependencyError: the session does not really get CUDA.
    """

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        import onnxruntime

        file = onnx.load(path)
        self.metadata = read_metadata(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        wanted = resolve_device(device)
        typed = onnx.shape_inference.infer_shapes(file)
        network = onnx.utils.Extractor(typed).extract_model([NETWORK_INPUT], [NETWORK_OUTPUT])
        self._session = onnxruntime.InferenceSession(
            network.SerializeToString(), options, providers=providers_of(wanted)
        )
        require_provider(self._session, wanted)
        work_size = self.metadata.preprocessing.work_size
        takes = self._session.get_inputs()[0].shape[2:]
        if takes != [*work_size]:
            raise InputError(
                f"{path}: its metadata says that its network works at "
                f"{work_size[0]}x{work_size[1]}, and it does at {'x'.join(map(str, takes))}. "
                "Export it again."
            )
        self.device = str(wanted)
        self.runtime = f"plain loop, onnxruntime {onnxruntime.__version__}"

    def predict(self, frames: NDArray[np.uint8]) -> Prediction:
        """Segment frames uint8 `[N, H, W, 3]`."""
        logits = self._ask(self._prepare(frames))
        return self._conclude(logits[: len(frames)], frames.shape[1:3])

    def stages(self, frames: NDArray[np.uint8]) -> dict[str, float]:
        """Seconds of preparing, network and mask."""
        marks = [time.perf_counter()]
        images = self._prepare(frames)
        marks.append(time.perf_counter())
        logits = self._ask(images)
        marks.append(time.perf_counter())
        self._conclude(logits[: len(frames)], frames.shape[1:3])
        marks.append(time.perf_counter())
        return dict(zip(("prepare", "network", "mask"), np.diff(marks).tolist(), strict=True))

    def _ask(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits of network inputs, by as many as the network takes at once."""
        batch = self.metadata.interface.batch or len(images)
        found = [
            self._session.run([NETWORK_OUTPUT], {NETWORK_INPUT: images[start : start + batch]})[0]
            for start in range(0, len(images), batch)
        ]
        logits: NDArray[np.float32] = found[0] if len(found) == 1 else np.concatenate(found)
        return logits

    def _prepare(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Network inputs; for a network of a fixed batch filled up with the last frame."""
        preprocessing = self.metadata.preprocessing
        height, width = preprocessing.scaled_size(*frames.shape[1:3])
        mean = np.asarray(preprocessing.mean, np.float32)
        std = np.asarray(preprocessing.std, np.float32)
        batch = self.metadata.interface.batch or 1
        rows = -(-len(frames) // batch) * batch
        images = np.zeros((rows, 3, *preprocessing.work_size), np.float32)
        for image, frame in zip(images, frames, strict=False):
            scaled = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
            values = (scaled.astype(np.float32) / 255.0 - mean) / std
            image[:, :height, :width] = values.transpose(2, 0, 1)
        images[len(frames) :] = images[len(frames) - 1]
        return images

    def _conclude(self, logits: NDArray[np.float32], size: tuple[int, ...]) -> Prediction:
        work_height, work_width = self.metadata.preprocessing.work_size
        height, width = self.metadata.preprocessing.scaled_size(size[0], size[1])
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        masks, confidences = [], []
        for one in probabilities:
            full = cv2.resize(one.transpose(1, 2, 0), (work_width, work_height))
            full = full[:height, :width]
            mask = full.argmax(axis=2).astype(np.uint8)
            top = (full.max(axis=2) * 255).astype(np.uint8)
            masks.append(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST))
            confidences.append(cv2.resize(top, size[::-1]))
        return Prediction(np.stack(masks), np.stack(confidences))
