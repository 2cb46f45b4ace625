"""The web application: the page mounted at its root."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from cfcontra.runtime import Backend

from .page import build_page
from .picture import MAX_FILE
from .theme import CSS, theme


def build_app(backends: dict[Path, Backend]) -> FastAPI:
    """An ASGI application with the page at `/`.

    Args:
        backends: opened models by their files.
    """
    app = FastAPI(title="cfcontra", docs_url=None, redoc_url=None, openapi_url=None)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_page(backends),
        path="/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=MAX_FILE,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=CSS,
    )
    return mounted
