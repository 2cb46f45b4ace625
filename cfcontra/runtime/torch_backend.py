"""The reference backend: a checkpoint in eager PyTorch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.checkpoint import Checkpoint, file_sha256, load_checkpoint
from cfcontra.device import resolve_device, set_threads, use_full_float32
from cfcontra.errors import MissingDependencyError
from cfcontra.frame_scores import frame_scores, visible_part
from cfcontra.metadata import ModelMetadata
from cfcontra.models import LogitsAndFeatures, ModelOutput, SegmentationModel
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.base import Backend, Prediction


class TorchBackend(Backend):
    """Runs a checkpoint; eagerly in float32 it is what every other runtime is held against.

    Args:
        checkpoint: network and metadata.
        device: `auto`, `cpu` or `cuda[:N]`.
        threads: CPU threads, None for torch's default.
        mode: `eager`; `compiled` by `torch.compile`, with CUDA graphs on a GPU where they work,
            see `compile_mode`; or `bf16`, whose heavy operators compute in bfloat16.

    Raises:
        InputError: a missing device, or no compiler to compile with.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "auto",
        threads: int | None = None,
        mode: str = "eager",
    ) -> None:
        set_threads(threads)
        self._device = resolve_device(device)
        self._model = checkpoint.model.to(self._device).to(memory_format=torch.channels_last).eval()
        self.metadata = checkpoint.metadata
        self.device = str(self._device)
        version = torch.__version__.split("+")[0]
        self.runtime = f"torch {version}" + ("" if mode == "eager" else f" {mode}")
        self._autocast = mode == "bf16"
        known = checkpoint.known_prototypes()
        self._prototypes = None if known is None else known.to(self._device)
        self.gives_frame_scores = known is not None
        self._network: Callable[[Tensor], tuple[Tensor, Tensor]] = LogitsAndFeatures(self._model)
        if mode == "compiled":
            self._network = self._compiled()
        elif self._device.type == "cuda":
            self.streams = 2  # one copies while the other computes
        self._local = threading.local()

    def _stream(self) -> AbstractContextManager[object]:
        """A CUDA stream of this thread's own, so that calls of several threads overlap."""
        if self.streams == 1:
            return nullcontext()
        if not hasattr(self._local, "stream"):
            self._local.stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._local.stream)

    @classmethod
    def open(
        cls,
        path: Path,
        device: str = "auto",
        threads: int | None = None,
        mode: str = "eager",
        work_size: tuple[int, int] | None = None,
    ) -> TorchBackend:
        """Open a `model.pt`; on CUDA the process computes float32 in full from then on.

        Not so for networks in training, which the class is given as they are.

        Args:
            path: the file.
            device: `auto`, `cpu` or `cuda[:N]`.
            threads: CPU threads, None for torch's default.
            mode: as of the class.
            work_size: `(height, width)` the network sees, None for the file's own.
        """
        checkpoint = load_checkpoint(path)
        if work_size is not None:
            metadata = checkpoint.metadata
            preprocessing = replace(metadata.preprocessing, work_size=work_size)
            checkpoint = replace(
                checkpoint, metadata=replace(metadata, preprocessing=preprocessing)
            )
        if mode != "bf16" and resolve_device(device).type == "cuda":
            use_full_float32()
        backend = cls(checkpoint, device, threads, mode)
        backend.metadata = _with_hash(backend.metadata, file_sha256(path))
        return backend

    @torch.inference_mode()
    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        with self._stream():
            return self._answer(frames)

    def _answer(self, frames: NDArray[np.uint8]) -> Prediction:
        height, width = frames.shape[1:3]
        # Does not block where the frames lie in pinned memory; fetching the answer does.
        images = torch.from_numpy(frames).to(self._device, non_blocking=True)
        preprocessing = self.metadata.preprocessing
        logits, features = self._ask(letterbox(images, preprocessing))
        scaled = preprocessing.scaled_size(height, width)
        work_size = preprocessing.work_size
        size = self.metadata.interface.mask_size(height, width)
        mask = mask_from_logits(logits, work_size, scaled, size)
        confidence = confidence_from_logits(logits, work_size, scaled, size)
        scores = None
        if self._prototypes is not None:
            logits_size = logits.shape[-2], logits.shape[-1]
            part = visible_part(logits_size, preprocessing, (height, width))
            scores = frame_scores(logits, features, self._prototypes, part).cpu().numpy()
        return Prediction(mask.cpu().numpy(), confidence.cpu().numpy(), scores)

    @torch.inference_mode()
    def stages(self, frames: NDArray[np.uint8]) -> dict[str, float]:
        size = frames.shape[1], frames.shape[2]
        preprocessing = self.metadata.preprocessing
        shape = preprocessing.work_size, preprocessing.scaled_size(*size), size
        marks = [self._now()]
        there = torch.from_numpy(frames).to(self._device)
        marks.append(self._now())
        images = letterbox(there, preprocessing)
        marks.append(self._now())
        logits = self._logits(images)
        marks.append(self._now())
        results = mask_from_logits(logits, *shape), confidence_from_logits(logits, *shape)
        marks.append(self._now())
        for result in results:
            result.cpu()
        marks.append(self._now())
        to_device, prepare, network, mask, back = np.diff(marks).tolist()
        stages = {"prepare": prepare, "network": network, "mask": mask}
        if self._device.type != "cpu":
            stages["transfer"] = to_device + back
        return stages

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _logits(self, images: Tensor) -> Tensor:
        return self._ask(images)[0]

    def _ask(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and features."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            return self._network(images)

    def _compiled(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """Compiled now rather than at the first frame, so that what is missing shows here."""
        network = torch.compile(LogitsAndFeatures(self._model), mode=compile_mode(self._device))
        size = self.metadata.preprocessing.work_size
        images = torch.zeros(1, 3, *size, device=self._device)
        try:
            with torch.inference_mode():
                network(images.contiguous(memory_format=torch.channels_last))
        except torch._dynamo.exc.BackendCompilerFailed as error:
            reason = str(error.inner_exception).strip().splitlines()[0]
            raise MissingDependencyError(
                f"torch.compile cannot compile here ({reason}). It needs a C++ compiler (on "
                "Debian: apt-get install g++). Or use --runtime torch."
            ) from error
        return network

    @property
    def network(self) -> SegmentationModel:
        """The network itself, in evaluation mode."""
        return self._model

    def forward(self, images: Tensor) -> ModelOutput:
        """Logits and features on the CPU of frames uint8 `[N, 3, h, w]` at the working size."""
        preprocessing = self.metadata.preprocessing
        values = images.to(self._device).float() / 255.0
        mean = values.new_tensor(preprocessing.mean).view(1, 3, 1, 1)
        std = values.new_tensor(preprocessing.std).view(1, 3, 1, 1)
        output = self._model.forward_features((values - mean) / std)
        return ModelOutput(output.logits.float().cpu(), output.features.float().cpu())

    @torch.inference_mode()
    def probabilities(self, frames: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.float32]:
        size = frames.shape[1], frames.shape[2]
        work_height, work_width = self.metadata.preprocessing.work_size
        work_size = max(32, round(work_height * scale)), max(32, round(work_width * scale))
        preprocessing = replace(self.metadata.preprocessing, work_size=work_size)
        scaled = preprocessing.scaled_size(*size)
        logits = self._logits(letterbox(torch.from_numpy(frames).to(self._device), preprocessing))
        full = F.interpolate(logits.float(), size=work_size, mode="bilinear", align_corners=False)
        full = full[:, :, : scaled[0], : scaled[1]]
        size = self.metadata.interface.mask_size(*size)
        full = F.interpolate(full, size=size, mode="bilinear", align_corners=False)
        probabilities: NDArray[np.float32] = full.softmax(dim=1).cpu().numpy()
        return probabilities


def compile_mode(device: torch.device) -> str:
    """What `torch.compile` is asked for: CUDA graphs on a GPU, from torch 2.14 on.

    Before, only the thread that compiled could run them, and a server's is another
    (pytorch/pytorch#123177).
    """
    graphs = device.type == "cuda" and torch.__version__ >= "2.14"
    return "reduce-overhead" if graphs else "default"


def letterbox(frames: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Frames uint8 `[N, H, W, 3]` → normalised network input float32 `[N, 3, h, w]`."""
    height, width = frames.shape[1:3]
    scaled = preprocessing.scaled_size(height, width)
    images = frames.permute(0, 3, 1, 2).float()
    images = F.interpolate(images, size=scaled, mode="bilinear", align_corners=False)
    mean = images.new_tensor(preprocessing.mean).view(1, 3, 1, 1)
    std = images.new_tensor(preprocessing.std).view(1, 3, 1, 1)
    images = (images / 255.0 - mean) / std
    work_height, work_width = preprocessing.work_size
    padded = F.pad(images, (0, work_width - scaled[1], 0, work_height - scaled[0]))
    return padded.contiguous(memory_format=torch.channels_last)


def mask_from_logits(
    logits: Tensor, work_size: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Train ids uint8 `[N, H, W]` at `size` from logits `[N, C, h, w]`."""
    full = F.interpolate(logits.float(), size=work_size, mode="bilinear", align_corners=False)
    mask = full[:, :, : scaled[0], : scaled[1]].argmax(dim=1).to(torch.uint8)
    rows = _nearest(scaled[0], size[0], mask.device)
    columns = _nearest(scaled[1], size[1], mask.device)
    return mask[:, rows][:, :, columns]


def confidence_from_logits(
    logits: Tensor, work_size: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Softmax maximum as uint8 `[N, H, W]` at `size` from logits `[N, C, h, w]`."""
    top = logits.float().softmax(dim=1).amax(dim=1, keepdim=True)
    top = F.interpolate(top, size=work_size, mode="bilinear", align_corners=False)
    top = top[:, :, : scaled[0], : scaled[1]]
    top = F.interpolate(top, size=size, mode="bilinear", align_corners=False)
    return (top[:, 0] * 255.0).round().clamp(0, 255).to(torch.uint8)


def _nearest(scaled: int, size: int, device: torch.device) -> Tensor:
    """Index of the scaled pixel whose area holds each output pixel's centre, in integers."""
    return ((2 * torch.arange(size, device=device) + 1) * scaled) // (2 * size)


def _with_hash(metadata: ModelMetadata, sha256: str) -> ModelMetadata:
    return replace(metadata, checkpoint_sha256=sha256)
