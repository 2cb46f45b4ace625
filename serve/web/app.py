"""The web application: the page, and the REST interface beside it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
from fastapi import FastAPI

from .api.app import build_api
from .page import build_page
from .page_gate import PageGate
from .state import ServerState
from .theme import CSS, theme

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def build_app(state: ServerState) -> Any:
    """An ASGI application with the page at `/` and REST at `/v1`.

    Args:
        state: models, jobs and settings; its owner closes it.
    """
    page = _page_app(state)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with page.router.lifespan_context(page):
            yield

    api = build_api(state, lifespan)
    return PageGate(api, page)


def _page_app(state: ServerState) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_page(state),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=state.settings.limits.video_bytes,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=CSS,
    )
    return mounted
