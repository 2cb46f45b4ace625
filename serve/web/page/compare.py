"""The Compare tab: two or more models on the same picture."""

from __future__ import annotations

from functools import lru_cache, partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from cfcontra.errors import CfcontraError, InputError

from ..state import ServerState
from .answers import Answer, compare_html
from .events import PICTURES
from .examples import EXAMPLES
from .inputs import example_strip, picture_input
from .parts import empty_html, error_html, markup
from .predict import predict, read_upload

_ALONE = (
    "There is one model here. Start the demo with two or more to compare them: "
    "cfcontra-demo source-only.onnx adapted.onnx"
)


class ComparisonTab:
    """The tab's actions and its place on the page.

    Args:
        state: the server's models and limits.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._example = lru_cache(maxsize=16)(self._compare_example)

    def compare(
        self, upload: str | None, example: int, models: list[str]
    ) -> tuple[str | None, str]:
        """Run models on an uploaded picture, or without one on an example.

        Returns:
            the upload, and the result's markup.
        """
        # In the order of the command line, whatever order they were ticked in.
        chosen = tuple(name for name in self._state.models if name in models)
        try:
            if len(chosen) < 2:
                raise InputError("Choose at least two models to compare.")
            if upload is None:
                return None, self._example(example, chosen)
            return upload, self._compare(Path(upload), chosen)
        except CfcontraError as error:
            if len(chosen) >= 2:
                gr.Warning(escape(str(error)), title="Cannot use this picture")
                upload = None
            return upload, error_html(str(error))

    def show_example(self, number: int, models: list[str]) -> tuple[None, int, str]:
        """Compare on an example in place of an upload."""
        return None, number, self.compare(None, number, models)[1]

    def build(self, tab: gr.Tab) -> None:
        """Lay the tab out and connect it."""
        names = list(self._state.models)
        if len(names) < 2:
            markup(empty_html("picture", _ALONE))
            return
        example = gr.State(0)
        with gr.Row(elem_classes="main"):
            with gr.Column(scale=3, min_width=280):
                models = gr.CheckboxGroup(names, value=names[:2], label="Models")
                picture = picture_input("Your picture")
                examples = example_strip()
            with gr.Column(scale=7, min_width=300):
                result = markup(
                    empty_html("picture", "The models' answers will be here, side by side."),
                    elem_classes="result",
                )
        inputs, outputs = [picture, example, models], [picture, result]
        shown: dict[str, Any] = {"show_progress_on": [result], **PICTURES}
        for event in (picture.input, picture.clear, models.change, tab.select):
            event(self.compare, inputs, outputs, **shown)
        for number, button in enumerate(examples):
            show = partial(self.show_example, number)
            button.click(show, [models], [picture, example, result], **shown)

    def _compare_example(self, number: int, models: tuple[str, ...]) -> str:
        return self._answers(EXAMPLES[number].picture(), models)

    def _compare(self, upload: Path, models: tuple[str, ...]) -> str:
        return self._answers(read_upload(upload, self._state.settings.limits), models)

    def _answers(self, picture: Any, models: tuple[str, ...]) -> str:
        limits = self._state.settings.limits
        answers = []
        for name in models:
            model = self._state.models[name]
            prediction = predict(model, picture, limits)
            answers.append(Answer(name, model.metadata.label_space, prediction))
        return compare_html(picture, answers)
