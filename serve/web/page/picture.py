"""The Picture tab: a picture in, its segmentation over it out."""

from __future__ import annotations

from functools import lru_cache, partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import CfcontraError

from ...indexed import encode_mask
from ..legend import class_shares
from ..result import segmentation_result
from ..state import ServerState
from .events import PICTURES
from .examples import EXAMPLES
from .inputs import example_strip, picture_input
from .parts import empty_html, error_html, markup
from .predict import predict, read_upload
from .viewer import Download, viewer_html

_WAITING = "The picture and its classes will be here."


class PictureTab:
    """The tab's actions and its place on the page.

    Args:
        state: the server's models and limits.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._example = lru_cache(maxsize=32)(self._view_example)

    def segment(self, upload: str | None, example: int, model: str) -> tuple[str | None, str]:
        """Run a model on an uploaded picture, or without one on an example.

        A picture that cannot be used is taken off the page, with a message that says why.

        Returns:
            the upload, and the viewer's markup.
        """
        try:
            if upload is None:
                return None, self._example(example, model)
            picture = read_upload(Path(upload), self._state.settings.limits)
            return upload, self._view(picture, model, Path(upload).stem)
        except CfcontraError as error:
            gr.Warning(escape(str(error)), title="Cannot use this picture")
            return None, error_html(str(error))

    def show_example(self, number: int, model: str) -> tuple[None, int, str]:
        """Show an example in place of an upload.

        Returns:
            no upload, the example's number, and the viewer's markup.
        """
        return None, number, self.segment(None, number, model)[1]

    def build(self, page: gr.Blocks, chooser: gr.Dropdown) -> None:
        """Lay the tab out and connect it."""
        example = gr.State(0)
        with gr.Row(elem_classes="main"):
            with gr.Column(scale=3, min_width=280):
                picture = picture_input("Your picture")
                examples = example_strip()
            with gr.Column(scale=7, min_width=300):
                viewer = markup(empty_html("picture", _WAITING), elem_classes="result")
        inputs, outputs = [picture, example, chooser], [picture, viewer]
        shown: dict[str, Any] = {"show_progress_on": [viewer], **PICTURES}
        for event in (picture.input, picture.clear, chooser.change, page.load):
            event(self.segment, inputs, outputs, **shown)
        for number, button in enumerate(examples):
            show = partial(self.show_example, number)
            button.click(show, [chooser], [picture, example, viewer], **shown)

    def _view_example(self, number: int, model: str) -> str:
        example = EXAMPLES[number]
        return self._view(example.picture(), model, f"street-{example.style}")

    def _view(self, picture: NDArray[np.uint8], model: str, stem: str) -> str:
        served = self._state.models[model]
        space = served.metadata.label_space
        prediction = predict(served, picture, self._state.settings.limits)
        shares = class_shares(prediction, space)
        mask = encode_mask(prediction.mask[0], space)
        data = segmentation_result(prediction, served, shares).model_dump_json().encode()
        downloads = [
            Download("Mask (PNG)", f"{stem}-mask.png", "image/png", mask),
            Download("Data (JSON)", f"{stem}.json", "application/json", data),
        ]
        return viewer_html(picture, prediction, space, shares, downloads)
