"""Small pieces of markup that several tabs use."""

from __future__ import annotations

import re
from html import escape

import gradio as gr

_ICONS = {
    "picture": '<rect x="3" y="5" width="18" height="14" rx="2"/><circle cx="9" cy="10" r="1.6"/>'
    '<path d="m4 17 5-4 4 3 3-2.5 4 3.5"/>',
    "film": '<rect x="3" y="5" width="18" height="14" rx="2"/><path d="m10 9 5 3-5 3z"/>',
    "alert": '<path d="M12 4 3 19h18z"/><path d="M12 10v4m0 2.5v.5"/>',
}

OPACITY = """<label class="cf-range">Opacity
<input class="cf-opacity" type="range" min="0" max="100" step="5" value="60">
<output class="cf-opacity-value">60 %</output></label>"""
"""The range for how much of the classes' colours lies over a picture."""


def markup(html: str, elem_classes: str | None = None) -> gr.Markdown:
    """A component that shows our own markup as it is.

    `gr.HTML` would be the one for this, but it compiles templates in the browser, which a
    page has to allow with `unsafe-eval`. Give it plain strings only: for an update
    (`gr.update`) Gradio makes a new component, without what is set here.
    """
    component = gr.Markdown(
        one_block(html), sanitize_html=False, latex_delimiters=[], elem_classes=elem_classes
    )
    component.postprocess = one_block  # type: ignore[method-assign,assignment]
    return component


def one_block(html: str) -> str:
    """Markup that Markdown takes for one block of HTML: inside a `div`, without empty lines.

    A carriage return ends a line there, too.
    """
    return "<div>" + re.sub(r"\s*[\r\n]\s*", "\n", html.strip()) + "</div>"


def empty_html(icon: str, text: str) -> str:
    """What stands where a result will be."""
    return f'<div class="empty">{_icon(icon)}<p>{escape(text)}</p></div>'


def error_html(text: str) -> str:
    """Why there is no result. Screen readers say it at once."""
    return f'<div class="empty fault" role="alert">{_icon("alert")}<p>{escape(text)}</p></div>'


def _icon(name: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.5" '
        'stroke-linejoin="round" stroke-linecap="round" aria-hidden="true">'
        f"{_ICONS[name]}</svg>"
    )
