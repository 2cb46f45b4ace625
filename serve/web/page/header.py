"""The top of the page."""

from __future__ import annotations

from html import escape


def header_html() -> str:
    """Name, what this is, and the button between light and dark."""
    return """<header class="head">
<svg viewBox="0 0 40 40" aria-hidden="true"><rect width="40" height="40" rx="10" fill="#0b6b66"/>
<path d="M0 26h40v4a10 10 0 0 1-10 10H10A10 10 0 0 1 0 30z" fill="#804080"/>
<path d="M17 26h6l4 14H13z" fill="#3b2546"/><path d="M19.4 28h1.2v3h-1.2zm-.2 5h1.6v4h-1.6z"
fill="#f4f6f8"/><path d="M0 18h9v8H0zm31-4h9v12h-9z" fill="#c7d0d9"/>
<circle cx="27" cy="9" r="3.5" fill="#ffd166"/></svg>
<div><h1>cfcontra</h1><p>See what a driving-scene model sees: every pixel gets a class.</p></div>
<cf-theme><button type="button" class="cf-button" aria-label="Dark colours">
<svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true"><path d="M12 3a9 9 0 1 0 0 18z"/>
<circle cx="12" cy="12" r="9" fill="none" stroke="currentColor" stroke-width="2"/></svg>
</button></cf-theme>
</header>"""


def model_html(name: str) -> str:
    """Which model is chosen, for the scripts of the page."""
    return f'<span data-model="{escape(name)}" hidden></span>'
