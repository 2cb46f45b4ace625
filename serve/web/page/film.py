"""A segmented video on the page: the player, its download, and its class areas over time."""

from __future__ import annotations

from cfcontra.label_space import LabelSpace

from ..jobs import Job
from .chart import areas_legend, areas_svg


def film_html(job: Job, label_space: LabelSpace) -> str:
    """The markup of `<cf-film>` for a job that is done."""
    address = f"v1/jobs/{job.id}/result"
    assert job.areas is not None
    shares = job.areas.shares()
    took = (job.finished or 0.0) - (job.started or 0.0)
    rate = f" · {job.frames / took:.1f} frames per second" if took > 0 else ""
    return (
        f'<cf-film><video controls playsinline preload="auto" src="{address}"></video>'
        f'<div class="cf-bar cf-files"><a class="cf-button" download="segmented.mp4" '
        f'href="{address}">Download the video</a>'
        f'<span class="hint">{job.frames} frames in {took:.1f} s{rate}</span></div>'
        "<h3>What is in the picture, over time</h3>"
        f"{areas_svg(shares, job.areas.seconds, label_space)}"
        f"{areas_legend(shares, label_space)}</cf-film>"
    )
