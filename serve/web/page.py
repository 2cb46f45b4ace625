"""The demo page: a picture in, its segmentation over it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import CfcontraError
from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2
from cfcontra.runtime import Backend
from cfcontra.visualize import overlay

from .card import card_html
from .decoding import read_picture
from .legend import class_shares, legend_html, palette_html
from .picture import picture_input
from .state import ServerState

_SHOWN = 1600  # longest side of what the browser gets, in pixels
_KEPT_SECONDS = 1800


@dataclass(frozen=True)
class Segmented:
    """What is kept of a picture to blend it again: at the size in which it is shown."""

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    label_space: LabelSpace

    def blend(self, opacity: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Before and after."""
        return self.image, overlay(self.image, self.mask, self.label_space, opacity)


class Demo:
    """The page's actions on a set of models.

    Args:
        backends: opened models by the name they are chosen by.
    """

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    def segment(self, path: str | None, name: str, opacity: float) -> tuple[Any, Any, Any, str]:
        """Run a model on an uploaded picture.

        A picture that cannot be used is taken off the page, with a message that says why.

        Returns:
            the picture, what to keep of it, before/after for the slider, and the legend.
        """
        backend = self._backends[name]
        space = backend.metadata.label_space
        if path is None:
            return None, None, None, palette_html(space)
        try:
            picture = read_picture(Path(path))
            prediction = backend.predict(picture[None])
        except CfcontraError as error:
            gr.Warning(escape(str(error)), title="Cannot use this picture")
            return None, None, None, palette_html(space)
        kept = Segmented(*_shrink(picture, prediction.mask[0]), space)
        legend = legend_html(class_shares(prediction, space))
        return path, kept, kept.blend(opacity), legend

    def blend(self, kept: Segmented | None, opacity: float) -> Any:
        """Before/after at another opacity, without running the model again."""
        return kept.blend(opacity) if kept is not None else None

    def choose(self, path: str | None, name: str, opacity: float) -> tuple[Any, Any, Any, str, str]:
        """Another model: its card, and its result for the picture that is there."""
        return *self.segment(path, name, opacity), card_html(Path(name), self._backends[name])


def build_page(state: ServerState) -> gr.Blocks:
    """Lay the page out.

    Args:
        state: the server's models, the first of which is chosen at the start.
    """
    named = state.models
    demo = Demo(named)
    first, backend = named.default.name, named.default
    page: gr.Blocks
    with gr.Blocks(
        title="cfcontra", analytics_enabled=False, delete_cache=(_KEPT_SECONDS, _KEPT_SECONDS)
    ) as page:
        gr.HTML(
            '<div class="head"><h1>cfcontra</h1><p>Driving-scene segmentation. Drop a street '
            "picture in, or paste one.</p></div>"
        )
        kept = gr.State(None, time_to_live=_KEPT_SECONDS)
        with gr.Row(elem_classes="main"):
            with gr.Column(scale=2, min_width=300):
                picture = picture_input("Picture")
                opacity = gr.Slider(0, 1, value=0.5, step=0.05, label="Opacity of the classes")
                chooser = gr.Dropdown(
                    list(named), value=first, label="Model", visible=len(named) > 1
                )
                with gr.Accordion("About the model", elem_classes="about"):
                    card = gr.HTML(card_html(Path(first), backend))
            with gr.Column(scale=3, min_width=300):
                slider = gr.ImageSlider(
                    label="Before and after",
                    format="jpeg",
                    interactive=False,
                    buttons=["fullscreen", "download"],
                    max_height=560,
                )
                legend = gr.HTML(palette_html(backend.metadata.label_space))
        quiet: dict[str, Any] = {"api_visibility": "private"}
        inputs, outputs = [picture, chooser, opacity], [picture, kept, slider, legend]
        for event in (picture.input, picture.clear):
            event(demo.segment, inputs, outputs, show_progress_on=[slider], **quiet)
        chooser.change(demo.choose, inputs, [*outputs, card], show_progress_on=[slider], **quiet)
        opacity.change(
            demo.blend,
            [kept, opacity],
            [slider],
            show_progress="hidden",
            trigger_mode="always_last",
            **quiet,
        )
    return page


def _shrink(
    image: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    height, width = mask.shape
    scale = _SHOWN / max(height, width)
    if scale >= 1:
        return image, mask
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    ids = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(shown, np.uint8), np.asarray(ids, np.uint8)
