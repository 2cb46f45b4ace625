"""A server without its own process, for tests of page and REST."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from httpx import Response
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.web.api.app import build_api
from cfcontra.serve.web.guard import guard
from cfcontra.serve.web.metrics import Metrics
from cfcontra.serve.web.models import Models, ServedModel
from cfcontra.serve.web.scratch import Scratch
from cfcontra.serve.web.settings import Settings
from cfcontra.serve.web.state import ServerState

SPACE = LABEL_SPACES["camvid11"]


class RedBackend(Backend):
    """The class is the red value modulo eleven, the confidence the green value.

    Attributes:
        batches: frames of each run.
        open: runs wait while it is not set.
    """

    def __init__(self) -> None:
        self.metadata = ModelMetadata(SPACE, Preprocessing((64, 96)), {"name": "light"})
        self.device, self.runtime = "cpu", "test 1"
        self.batches: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        self.batches.append(len(frames))
        assert self.open.wait(30)
        if self.error is not None:
            raise self.error
        mask = frames[..., 0] % np.uint8(SPACE.num_classes)
        return Prediction(mask, np.ascontiguousarray(frames[..., 1]))


@dataclass
class Server:
    """What a test looks at; the backend is that of the models it is started with by default."""

    client: TestClient
    state: ServerState
    backend: RedBackend


@contextmanager
def running(
    folder: Path,
    settings: Settings | None = None,
    models: list[ServedModel] | None = None,
    **served: Any,
) -> Iterator[Server]:
    """The REST application behind its guard; by default with two models of one backend."""
    settings = settings or Settings()
    backend = RedBackend()
    queue = settings.limits.queue
    models = models or [
        ServedModel(name, Path(f"{name}.onnx"), backend, queue=queue, **served)
        for name in ("day", "dusk")
    ]
    state = ServerState.open(Models(models), settings, Scratch(folder / "private"))
    metrics = Metrics(state.models, state.jobs)
    app = guard(build_api(state, metrics), settings, state.scratch, metrics)
    try:
        with TestClient(app, base_url="http://127.0.0.1:7860") as client:
            yield Server(client, state, backend)
    finally:
        backend.open.set()
        state.close()


@contextmanager
def listening(app: ASGIApp, **config: Any) -> Iterator[int]:
    """The port of a real server of an application, for what happens on its connections."""
    place = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, ws="none", lifespan="off", log_level="error", **config)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield place.getsockname()[1]
    server.should_exit = True
    thread.join(30)
    place.close()


@contextmanager
def running_page(folder: Path, settings: Settings) -> Iterator[Server]:
    """The whole application, Gradio's part too, with one model; for one who knows its secret."""
    backend = RedBackend()
    models = Models([ServedModel("day", Path("day.onnx"), backend)])
    state = ServerState.open(models, settings, Scratch(folder / "private"))
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(state.scratch.folder("page"))
    from cfcontra.serve.web.app import build_app

    known = {"Authorization": f"Bearer {settings.secrets[0]}"} if settings.secrets else {}
    try:
        with TestClient(build_app(state), "http://127.0.0.1:7860", headers=known) as client:
            try:
                yield Server(client, state, backend)
            finally:
                backend.open.set()
    finally:
        state.close()
        os.environ.pop("GRADIO_TEMP_DIR")
        if before is not None:
            os.environ["GRADIO_TEMP_DIR"] = before


def join(client: TestClient, event: str, target: str, data: list[Any], visit: str) -> Response:
    """Have the page's Python called, as a browser does."""
    config = client.get("/config").json()
    parts = {part["id"]: part["props"] for part in config["components"]}
    number = next(
        call["id"]
        for call in config["dependencies"]
        for at, name in call["targets"]
        if name == event and target in (parts[at].get("label"), parts[at].get("value"))
    )
    asked = {"data": data, "fn_index": number, "session_hash": visit}
    return client.post("/gradio_api/queue/join", json=asked)


def ask(client: TestClient, event: str, target: str, data: list[Any], visit: str = "a") -> str:
    """The same, and everything that comes back."""
    got = join(client, event, target, data, visit)
    assert got.status_code == 200, got.text
    return client.get(f"/gradio_api/queue/data?session_hash={visit}").text


def noise(height: int = 40, width: int = 60, seed: int = 0) -> NDArray[np.uint8]:
    """A picture in which every class occurs."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    """As a file."""
    stored = io.BytesIO()
    Image.fromarray(image).save(stored, "PNG")
    return stored.getvalue()


def wait_until(holds: Any, seconds: float = 30.0) -> None:
    """Until something holds, or the test fails."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)
