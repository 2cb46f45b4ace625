"""How the page looks: its own colours, system fonts only, nothing from other hosts."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from .inputs import example_css

STATIC = Path(__file__).parent / "static"
"""Scripts and style sheet of the page, served under `ui/`."""

HEAD = """
<meta name="color-scheme" content="light dark">
<script type="module" src="ui/page.js"></script>
<style>@media (max-width: 640px) {
  .gradio-container .main.app { padding: 0.6rem 0.75rem !important; }
}</style>
"""
"""What the page adds to its head. Gradio confines the style sheet to what is inside its frame; the
room around that is set here."""

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")


def css() -> str:
    """The page's style sheet."""
    return (STATIC / "page.css").read_text(encoding="utf-8") + example_css()


def theme() -> gr.themes.Base:
    """The page's Gradio theme, light and dark."""
    return gr.themes.Base(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        radius_size="md",
        font=_SANS,
        font_mono=_MONO,
    ).set(
        body_background_fill="#f4f6f8",
        body_background_fill_dark="#0e1318",
        body_text_color="#16202a",
        body_text_color_dark="#e6ebf0",
        body_text_color_subdued="#4a5868",
        body_text_color_subdued_dark="#a3b0bf",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#161d24",
        background_fill_secondary="#eef1f5",
        background_fill_secondary_dark="#1d262f",
        border_color_primary="#d5dce4",
        border_color_primary_dark="#2c3743",
        block_background_fill="#ffffff",
        block_background_fill_dark="#161d24",
        block_border_color="#d5dce4",
        block_border_color_dark="#2c3743",
        block_label_text_color="#4a5868",
        block_label_text_color_dark="#a3b0bf",
        block_title_text_color="#16202a",
        block_title_text_color_dark="#e6ebf0",
        block_info_text_color="#4a5868",
        block_info_text_color_dark="#a3b0bf",
        block_radius="12px",
        block_shadow="0 1px 2px rgb(16 24 40 / 0.05)",
        input_background_fill="#ffffff",
        input_background_fill_dark="#1d262f",
        input_border_color="#b9c4d0",
        input_border_color_dark="#435060",
        input_placeholder_color="#5a6878",
        input_placeholder_color_dark="#94a2b2",
        link_text_color="#0b6b66",
        link_text_color_dark="#4fc9be",
        link_text_color_hover="#085550",
        link_text_color_hover_dark="#79dcd3",
        color_accent="#0b6b66",
        color_accent_soft="#d8efed",
        color_accent_soft_dark="#143c3b",
        border_color_accent="#0b6b66",
        border_color_accent_dark="#4fc9be",
        button_primary_background_fill="#0b6b66",
        button_primary_background_fill_dark="#4fc9be",
        button_primary_background_fill_hover="#085550",
        button_primary_background_fill_hover_dark="#79dcd3",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#06211f",
        button_secondary_background_fill="#e7ecf1",
        button_secondary_background_fill_dark="#26313c",
        button_secondary_background_fill_hover="#d8e0e8",
        button_secondary_background_fill_hover_dark="#323f4c",
        button_secondary_text_color="#16202a",
        button_secondary_text_color_dark="#e6ebf0",
        button_cancel_background_fill="#a3261b",
        button_cancel_background_fill_dark="#ff9a8f",
        button_cancel_background_fill_hover="#7f1d15",
        button_cancel_background_fill_hover_dark="#ffb7af",
        button_cancel_text_color="#ffffff",
        button_cancel_text_color_dark="#3b0905",
        slider_color="#0b6b66",
        slider_color_dark="#4fc9be",
        checkbox_background_color_selected="#0b6b66",
        checkbox_background_color_selected_dark="#0f8a83",
    )
