"""What files the page's Python is given: those that its visitors uploaded, and no others.

A request names a file by its path. Gradio would copy any file of the server's that is named so
to where uploads are given out from, as its own check waits for a `launch` that a mounted page
never sees; and it would fetch URLs.
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData, ImageData
from gradio.utils import get_upload_folder


def take_uploads_only(page: gr.Blocks) -> None:
    """Let no component of a page take any other file, nor fetch one."""
    page.has_launched = True  # Gradio's own check, for whatever it makes later
    for block in page.blocks.values():
        if isinstance(block, Component):
            block.async_move_resource_to_block_cache = _stay  # type: ignore[method-assign]


def hand_over_paths(component: gr.Image | gr.File) -> None:
    """Let a component hand an upload's path over, unopened.

    Gradio's own opens a picture before any code of ours could look at it. A subclass
    would say this more plainly, but Gradio writes a stub file beside the module that
    defines one. Give the component plain values only: for an update (`gr.update`,
    `gr.skip`) Gradio makes a new component, without this.
    """
    component.preprocess = _path_only  # type: ignore[method-assign]


def _path_only(payload: ImageData | FileData | None) -> str | None:
    return None if payload is None or payload.path is None else _uploaded(payload.path)


async def _stay(url_or_file_path: str | Path | None) -> str | None:
    """Where a file is moved to that is to be seen: nowhere, uploads are there already."""
    return None if url_or_file_path is None else _uploaded(url_or_file_path)


def _uploaded(path: str | Path) -> str:
    folder = Path(get_upload_folder()).resolve()
    if not Path(path).resolve().is_relative_to(folder):
        raise gr.Error("This file was not uploaded here.", print_exception=False)
    return str(path)
