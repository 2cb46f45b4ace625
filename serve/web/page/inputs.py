"""What visitors put in: pictures, examples, videos."""

from __future__ import annotations

import gradio as gr
from gradio.data_classes import ImageData

from cfcontra.visualize import encode_jpeg

from .examples import EXAMPLES
from .parts import markup
from .viewer import data_url, shrink

_THUMB = 240


def picture_input(label: str) -> gr.Image:
    """An image component that hands the uploaded file's path over, unopened.

    Gradio's own opens the file before any code of ours could look at it. A subclass
    would say this more plainly, but Gradio writes a stub file beside the module that
    defines one. Give the component plain values only: for an update (`gr.update`,
    `gr.skip`) Gradio makes a new component, without this.
    """
    component = gr.Image(
        label=label,
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        height=230,
        buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False),
    )
    component.preprocess = _path_only  # type: ignore[method-assign]
    return component


def example_strip() -> list[gr.Button]:
    """A button for each example, in their order; `example_css` gives them their pictures."""
    markup('<p class="hint">No picture at hand? Try a street:</p>')
    with gr.Row(elem_classes="examples"):
        return [
            gr.Button(example.name, elem_classes=f"example-{index}", min_width=100, size="sm")
            for index, example in enumerate(EXAMPLES)
        ]


def example_css() -> str:
    """The examples' pictures, as backgrounds of their buttons."""
    rules = []
    for index, example in enumerate(EXAMPLES):
        picture = data_url(encode_jpeg(shrink(example.picture(), _THUMB), 75), "image/jpeg")
        rules.append(f".examples .example-{index}{{--picture:url({picture})}}")
    return "\n".join(rules)


def _path_only(payload: ImageData | None) -> str | None:
    return payload.path if payload is not None else None
