"""The page's component for pictures."""

from __future__ import annotations

import gradio as gr
from gradio.data_classes import ImageData


def picture_input(label: str) -> gr.Image:
    """An image component that hands the uploaded file's path over, unopened.

    Gradio's own opens the file before any code of ours could look at it. A subclass
    would say this more plainly, but Gradio writes a stub file beside the module that
    defines one. Give the component plain values only: for an update (`gr.update`,
    `gr.skip`) Gradio makes a new component, without this.
    """
    component = gr.Image(
        label=label, type="filepath", sources=["upload", "clipboard"], height=240, buttons=[]
    )
    component.preprocess = _path_only  # type: ignore[method-assign]
    return component


def _path_only(payload: ImageData | None) -> str | None:
    return payload.path if payload is not None else None
