"""The Live tab: all of it happens in the browser, on the REST interface; see `live.js`."""

from __future__ import annotations

from .parts import OPACITY


def live_html() -> str:
    """The markup of `<cf-live>`."""
    figures = "".join(
        f'<div><dt>{title}</dt><dd data-figure="{name}">–</dd></div>'
        for name, title in (
            ("latency", "Latency"),
            ("fps", "Frames per second"),
            ("frames", "Shown"),
            ("dropped", "Dropped"),
        )
    )
    return f"""<cf-live data-state="stopped">
<div class="cf-bar">
  <button type="button" class="cf-button primary cf-start">Start camera</button>
  <button type="button" class="cf-button cf-stop" hidden>Stop</button>
  <label hidden>Camera <select></select></label>
  {OPACITY}
</div>
<div class="cf-stage">
  <canvas width="640" height="360" role="img" aria-label="The camera with its classes over it">
  </canvas>
  <p class="cf-say" role="status">The pictures go to this server only, and are not kept.</p>
</div>
<dl class="figures">{figures}</dl>
<div class="legend"><div class="unseen"></div></div>
</cf-live>"""
