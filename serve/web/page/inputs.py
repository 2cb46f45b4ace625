"""What visitors put in: pictures, examples, videos."""

from __future__ import annotations

import gradio as gr

from cfcontra.visualize import encode_jpeg

from .examples import EXAMPLES
from .parts import markup
from .uploads import hand_over_paths
from .viewer import data_url, shrink

_THUMB = 240


def picture_input(label: str) -> gr.Image:
    """An image component that hands the uploaded file's path over, unopened."""
    component = gr.Image(
        label=label,
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        height=230,
        buttons=[],
        webcam_options=gr.WebcamOptions(mirror=False),
    )
    hand_over_paths(component)
    return component


def video_input(label: str) -> gr.File:
    """A component for a video's file, the path of which it hands over."""
    component = gr.File(label=label, file_types=["video"], height=150)
    hand_over_paths(component)
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
