"""The REST application."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI

from cfcontra import __version__

from ..state import ServerState

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def build_api(state: ServerState, lifespan: Lifespan | None = None) -> FastAPI:
    """REST on a server's models.

    Args:
        state: models, jobs and settings.
        lifespan: what runs beside it.
    """
    api = FastAPI(
        title="cfcontra",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    api.state.server = state
    return api
