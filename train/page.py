"""What all pages of the package have in common: one file, light and dark, no other host."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.files import atomic_write_text
from cfcontra.label_space import LabelSpace
from cfcontra.visualize import encode_jpeg, encode_png

_CSS = """
:root { color-scheme: light dark; --line: #8884; --accent: #2b7de9; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
.row { display: grid; grid-template-columns: repeat(4, 1fr); gap: .5rem; margin-bottom: .5rem; }
.row img, .picture { width: 100%; display: block; image-rendering: auto; border-radius: 4px; }
.picture { max-width: max-content; }
.row span { font-size: .85rem; opacity: .75; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin: 1rem 0; }
.legend i { display: inline-block; width: 1em; height: 1em; border-radius: 3px; margin-right: .4em;
  vertical-align: -2px; border: 1px solid #8888; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
svg text { font-size: 11px; fill: currentColor; opacity: .8; }
@media (max-width: 45rem) { .row { grid-template-columns: repeat(2, 1fr); } }
"""


def write_page(path: Path, title: str, body: str) -> None:
    """Write a page, whole or not at all.

    Args:
        body: HTML, escaped where it has to be.

    Raises:
        InputError: the file cannot be written.
    """
    atomic_write_text(
        path,
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>\n",
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text, the first being the heading."""
    heading, *lines = rows
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in heading)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>"
        for line in lines
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def legend(label_space: LabelSpace) -> str:
    """The classes with their colours."""
    items = "".join(
        f'<span><i style="background:rgb{color}"></i>{html.escape(name)}</span>'
        for name, color in zip(label_space.classes, label_space.colors, strict=True)
    )
    return f'<div class="legend">{items}</div>'


def picture(image: NDArray[np.uint8], alt: str, lossless: bool = False) -> str:
    """An RGB picture `[H, W, 3]` inside the page."""
    data = encode_png(image) if lossless else encode_jpeg(image)
    kind = "png" if lossless else "jpeg"
    return (
        f'<img class="picture" alt="{html.escape(alt)}" '
        f'src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
    )
