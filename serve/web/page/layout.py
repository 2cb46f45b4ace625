"""The page laid out: a header, the model to use, and a tab for each thing to do with it."""

from __future__ import annotations

import gradio as gr

from ..state import ServerState
from .bounded_queue import bound_queue
from .card import card_html
from .compare import ComparisonTab
from .events import QUIET
from .header import header_html, model_html
from .live import live_html
from .parts import markup
from .picture import PictureTab
from .uploads import take_uploads_only
from .video import VideoTab


def build_page(state: ServerState) -> gr.Blocks:
    """Lay the page out.

    Args:
        state: the server's models, the first of which is chosen at the start.
    """
    models = state.models
    first = models.default.name
    page: gr.Blocks
    with gr.Blocks(title="cfcontra", analytics_enabled=False, fill_width=True) as page:
        with gr.Row(elem_classes="top"):
            markup(header_html())
            chooser = gr.Dropdown(
                list(models),
                value=first,
                label="Model",
                visible=len(models) > 1,
                elem_classes="chooser",
            )
        in_use = markup(model_html(models.default), elem_classes="in-use")
        with gr.Tabs(overflow_behavior="wrap"):
            with gr.Tab("Picture"):
                PictureTab(state).build(page, chooser)
            with gr.Tab("Compare") as compare:
                ComparisonTab(state).build(compare)
            with gr.Tab("Video"):
                VideoTab(state).build(page, chooser)
            with gr.Tab("Live"):
                markup(live_html())
            with gr.Tab("Model card"):
                card = markup(card_html(models.default))
        chooser.change(
            lambda name: (model_html(models[name]), card_html(models[name])),
            [chooser],
            [in_use, card],
            show_progress="hidden",
            **QUIET,
        )
    take_uploads_only(page)
    bound_queue(page, state.settings.limits.queue)
    return page
