"""The top of the page."""

from __future__ import annotations

from html import escape

from ..models import ServedModel


def header_html() -> str:
    """Name, what this is, the way to the API, and the button between light and dark."""
    return """<header class="head">
<img src="ui/icon.svg" alt="" width="44" height="44">
<div><h1>cfcontra</h1><p>See what a driving-scene model sees: every pixel gets a class.</p></div>
<a class="cf-button" href="docs" title="The same from a program">API</a>
<cf-theme><button type="button" class="cf-button" aria-label="Dark colours">
<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true"><path d="M12 3a9 9 0 1 0 0 18z"/>
<circle cx="12" cy="12" r="9" fill="none" stroke="currentColor" stroke-width="2"/></svg>
</button></cf-theme>
</header>"""


def model_html(model: ServedModel) -> str:
    """Which model is chosen, for the scripts of the page, and the note that its file carries."""
    note = model.metadata.training.get("note")
    shown = f'<p class="note" role="note">{escape(note)}</p>' if isinstance(note, str) else ""
    return f'<span data-model="{escape(model.name)}" hidden></span>{shown}'
