"""The web application: the page, and the REST interface beside it."""

from __future__ import annotations

import gradio as gr
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from .api.app import build_api
from .guard import guard
from .metrics import Metrics
from .page import build_page
from .page.receiving import upload_router
from .page.theme import HEAD, STATIC, css, theme
from .page_gate import PageGate
from .state import ServerState


def build_app(state: ServerState) -> ASGIApp:
    """An ASGI application with the page at `/` and REST at `/v1`.

    Args:
        state: models, jobs and settings; its owner closes it.
    """
    metrics = Metrics(state.models, state.jobs)
    page = _page_app(state)
    api = build_api(state, metrics, page)
    return guard(PageGate(api, page), state.settings, state.scratch, metrics)


def _page_app(state: ServerState) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/ui", StaticFiles(directory=STATIC))
    app.include_router(upload_router(state))
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
        css=css(),
        head=HEAD,
        favicon_path=STATIC / "icon.svg",
    )
    return mounted
