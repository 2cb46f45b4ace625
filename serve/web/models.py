"""The models a server offers, by name; page and REST share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata
from cfcontra.runtime import Backend, Prediction, open_backend

from .batcher import Batcher

_CPU_BATCH, _GPU_BATCH = 4, 16
_RUNS = 4  # at the same time on a CPU


class ServedModel(Backend):
    """A model that any number of threads may use at once, as if it were theirs.

    It is a `Backend`, so that a video's runner can use it beside visitors' pictures:
    `predict` waits for its turn and is never turned away. `submit` is for pictures, of
    which only so many may wait.

    Args:
        name: what it is chosen by.
        path: its file.
        backend: the opened file.
        crowd: the same for its `streams` runs at the same time; None if one runs after another.
        max_batch: frames in one run, None for what fits the device.
        queue: frames that may wait.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        backend: Backend,
        *,
        crowd: Backend | None = None,
        max_batch: int | None = None,
        queue: int = 128,
    ) -> None:
        self.name, self.path = name, path
        self.metadata: ModelMetadata = backend.metadata
        self.device, self.runtime = backend.device, backend.runtime
        self.gives_frame_scores = backend.gives_frame_scores
        self.streams = crowd.streams if crowd is not None else 1
        self.batcher = Batcher(
            backend,
            crowd=crowd,
            workers=self.streams,
            max_batch=max_batch or _batch(backend, self.streams),
            queue=queue,
        )

    def submit(self, frames: NDArray[np.uint8], alone: bool = True) -> Future[Prediction]:
        """Hand frames RGB uint8 `[N, H, W, 3]` in.

        Args:
            frames: all of one picture's size.
            alone: whether the caller has no other pictures in work.

        Raises:
            Busy: too many wait.
        """
        return self.batcher.submit(frames, alone=alone)

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        return self.batcher.submit(frames, patient=True).result()

    def _enlarged(self, found: Prediction, size: tuple[int, int]) -> Prediction:
        return found  # the backend has done it


class Models(Mapping[str, ServedModel]):
    """Models by name, in the order of the command line; the first is the default."""

    def __init__(self, models: list[ServedModel]) -> None:
        self._models = {model.name: model for model in models}

    def __getitem__(self, name: str) -> ServedModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def default(self) -> ServedModel:
        """The first one."""
        return next(iter(self._models.values()))

    def close(self) -> None:
        """End the models' threads."""
        for model in self.values():
            model.batcher.close()


def open_model(
    name: str,
    path: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    runtime: str = "auto",
    max_batch: int | None = None,
    queue: int = 128,
) -> ServedModel:
    """Open a file to be served.

    On a CPU, two runs on a core each get more done than one run on both: the threads of a
    run wait for each other at every operator (measured: half the CPU time a frame). So
    where the runtime can be opened with fewer threads, a run that is alone takes all of
    them, and runs beside each other share them. On a GPU one and the same backend does both.

    Raises:
        InputError: see `open_backend`.
    """
    backend = crowd = open_backend(path, device, threads, runtime, streams=_RUNS)
    if crowd.device == "cpu" and crowd.streams > 1:
        backend = open_backend(path, device, threads, runtime)
    return ServedModel(name, path, backend, crowd=crowd, max_batch=max_batch, queue=queue)


def _batch(backend: Backend, runs: int) -> int:
    if backend.device != "cpu":
        return _GPU_BATCH
    # On one thread, a frame of a batch takes as long as a frame alone.
    return 1 if runs > 1 else _CPU_BATCH


def name_models(arguments: list[str]) -> dict[str, Path]:
    """`NAME=FILE` or `FILE` each; files without a name are called by their own.

    Of files called the same, as much of the folders is added as tells them apart.

    Raises:
        InputError: two models of one name.
    """
    named: dict[str, Path] = {}
    unnamed: list[Path] = []
    for argument in arguments:
        name, equals, file = argument.partition("=")
        if not equals or Path(argument).is_file():
            unnamed.append(Path(argument))
            continue
        if not name or not file:
            raise InputError(f"{argument}: give a model as FILE or NAME=FILE.")
        if named.setdefault(name, Path(file)) != Path(file):
            raise InputError(
                f"Two models are called {name}: {named[name]} and {file}. Give each its own NAME."
            )
    unnamed = list(dict.fromkeys(unnamed))
    for name, path in zip(short_names(unnamed), unnamed, strict=True):
        if named.setdefault(name, path) != path:
            raise InputError(
                f"Two models are called {name}: {named[name]} and {path}. "
                "Give one another name: NAME=FILE."
            )
    return named


def short_names(paths: list[Path]) -> list[str]:
    """As much of the ends of different paths as tells them apart, so that no folder shows."""
    for parts in range(1, max((len(path.parts) for path in paths), default=0)):
        names = [str(Path(*path.parts[-parts:])) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
