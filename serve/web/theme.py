"""How the page looks: system fonts only, so that the browser asks no other host for anything."""

from __future__ import annotations

import gradio as gr

_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")

CSS = """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.head h1 { font-size: 1.5rem; font-weight: 650; margin: 0.4rem 0 0; }
.head p { color: var(--body-text-color-subdued); margin: 0.15rem 0 0; }
.quiet { color: var(--body-text-color-subdued); }
.card dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1rem; margin: 0; }
.card dt { color: var(--body-text-color-subdued); }
.card dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.legend table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.legend th { font-weight: 500; text-align: left; color: var(--body-text-color-subdued); }
.legend table { border: none !important; }
.legend th, .legend td { padding: 0.35rem 0.6rem 0.35rem 0 !important; border: none !important; }
.legend thead, .legend tr { border: none !important; }
.legend tbody tr { border: none !important;
                   border-top: 1px solid var(--border-color-primary) !important; }
.legend .number { text-align: right; white-space: nowrap; width: 5.5rem; }
.legend th.number, .legend td.number { padding-right: 0 !important; }
.legend .bar { width: 34%; }
.legend .bar div { height: 0.55rem; border-radius: 0.3rem; min-width: 2px; }
.legend .bar div, .chip { box-shadow: inset 0 0 0 1px rgb(128 128 128 / 0.55); }
.chip { display: inline-block; width: 0.9rem; height: 0.9rem; border-radius: 0.25rem;
        vertical-align: -0.1rem; margin-right: 0.55rem; }
.unseen { margin: 0.7rem 0 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1rem;
          color: var(--body-text-color-subdued); }
@media (max-width: 640px) {
  .gradio-container { padding: 0.5rem !important; }
  .legend .bar { display: none; }
  .main { flex-direction: column; }
  .main > .column { display: contents; }
  .main .about { order: 1; }
}
"""


def theme() -> gr.themes.Base:
    """The page's Gradio theme."""
    return gr.themes.Base(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        radius_size="md",
        font=_SANS,
        font_mono=_MONO,
    ).set(body_text_color_subdued="*neutral_500")
