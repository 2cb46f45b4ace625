"""The Video tab: a video through the runner of `cfcontra-segment`, watched while it goes."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool

from cfcontra.errors import CfcontraError, InputError

from ..batcher import Busy
from ..jobs import Job, JobState
from ..state import ServerState
from .events import QUIET
from .examples import write_drive
from .film import film_html
from .inputs import video_input
from .parts import empty_html, error_html, markup
from .predict import upload_size

_LOOK = 0.25  # seconds between two looks at a job
_WAITING = "The video with its classes will play here."

Shown = tuple[str, Any, Any, Any]
"""The result's markup, and what becomes of the buttons: two to start with, one to cancel."""


class VideoTab:
    """The tab's actions and its place on the page.

    Args:
        state: the server's models, jobs and files.
    """

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._drive = state.scratch.folder("examples") / "drive.mp4"
        self._lock = Lock()
        self._by_visit: dict[str, Job] = {}

    async def segment(
        self, upload: str | None, model: str, opacity: float, request: gr.Request
    ) -> AsyncIterator[Shown]:
        """Run a job on an uploaded video and show how far it is, until it has ended.

        Takes no thread while it waits: those are for everybody else.
        """
        try:
            if upload is None:
                raise InputError("Choose a video first.")
            visit = str(request.session_hash)
            job = await run_in_threadpool(self._start, Path(upload), model, opacity, visit)
        except CfcontraError as error:
            gr.Warning(escape(str(error)), title="Cannot use this video")
            yield error_html(str(error)), *_buttons(start=True, cancel=False)
            return
        async for shown in self._watch(job):
            yield shown

    async def segment_drive(
        self, model: str, opacity: float, request: gr.Request
    ) -> AsyncIterator[Shown]:
        """The same for a generated drive, which is drawn when the first visitor asks for it."""
        if not self._drive.is_file():
            yield _progress_html("Drawing a drive …", 0, None), *_buttons(start=False, cancel=False)
            drawn = self._drive.with_name(f"{secrets.token_hex(8)}.mp4")
            await run_in_threadpool(write_drive, drawn)
            drawn.replace(self._drive)
        async for shown in self.segment(str(self._drive), model, opacity, request):
            yield shown

    def cancel(self, request: gr.Request) -> None:
        """Stop the visit's job and delete all of it."""
        with self._lock:
            job = self._by_visit.pop(str(request.session_hash), None)
        if job is not None:
            self._state.jobs.cancel(job)

    def build(self, page: gr.Blocks, chooser: gr.Dropdown) -> None:
        """Lay the tab out and connect it."""
        with gr.Row(elem_classes="main"):
            with gr.Column(scale=3, min_width=280):
                upload = video_input("Your video")
                opacity = gr.Slider(0, 1, value=0.5, step=0.05, label="Opacity", buttons=[])
                with gr.Row():
                    start = gr.Button("Segment", variant="primary")
                    cancel = gr.Button("Cancel", variant="stop", interactive=False)
                markup('<p class="hint">No video at hand? Let one be drawn:</p>')
                drive = gr.Button("Try a generated drive")
            with gr.Column(scale=7, min_width=300):
                result = markup(empty_html("film", _WAITING), elem_classes="result")
        outputs = [result, start, drive, cancel]
        limits = self._state.settings.limits
        # A place for everybody who watches a job, and some to be told that there are too many;
        # they come on top of the places that the page has for everything else.
        watchers = limits.running_jobs + limits.waiting_jobs + 4
        page.max_threads += watchers
        shown: dict[str, Any] = {
            "show_progress": "hidden",
            "concurrency_id": "videos",
            "concurrency_limit": watchers,
            **QUIET,
        }
        start.click(self.segment, [upload, chooser, opacity], outputs, **shown)
        drive.click(self.segment_drive, [chooser, opacity], outputs, **shown)
        cancel.click(self.cancel, None, None, show_progress="hidden", **QUIET)
        page.unload(self.cancel)

    def _start(self, upload: Path, model: str, opacity: float, visit: str) -> Job:
        upload_size(upload)
        # The job takes the file away; the page's own stays, for another go with another model.
        handed = self._state.scratch.folder("page") / f"job-{secrets.token_hex(8)}"
        os.link(upload, handed)
        try:
            job = self._state.jobs.start(handed, self._state.models[model], opacity)
        except Busy as error:
            raise InputError("Too many videos wait already. Try again later.") from error
        finally:
            handed.unlink(missing_ok=True)
        with self._lock:
            before, self._by_visit[visit] = self._by_visit.get(visit), job
        if before is not None:
            self._state.jobs.cancel(before)
        return job

    async def _watch(self, job: Job) -> AsyncIterator[Shown]:
        shown: tuple[JobState, int] | None = None
        while not job.state.final:
            if shown != (job.state, job.frames):
                shown = (job.state, job.frames)
                yield _job_progress(job), *_buttons(start=False, cancel=True)
            await asyncio.sleep(_LOOK)
        if job.state is JobState.DONE:
            space = self._state.models[job.model].metadata.label_space
            film = await run_in_threadpool(film_html, job, space)
            yield film, *_buttons(start=True, cancel=False)
        elif job.state is JobState.CANCELLED:
            yield (
                empty_html("film", "Cancelled; nothing was kept."),
                *_buttons(start=True, cancel=False),
            )
        else:
            yield error_html(job.error or "The video failed."), *_buttons(start=True, cancel=False)


def _buttons(*, start: bool, cancel: bool) -> tuple[Any, Any, Any]:
    begin = gr.update(interactive=start)
    return begin, begin, gr.update(interactive=cancel)


def _job_progress(job: Job) -> str:
    if job.state is JobState.WAITING:
        return _progress_html("Waiting for its turn …", 0, None)
    took = time.time() - (job.started or time.time())
    if not job.frames or not took:
        return _progress_html("Opening the video …", 0, job.expected)
    rate = job.frames / took
    text = f"Frame {job.frames}"
    if job.expected:
        left = max(job.expected - job.frames, 0) / rate
        text += f" of {job.expected} · {rate:.1f} frames per second · {_duration(left)} left"
    else:
        text += f" · {rate:.1f} frames per second"
    return _progress_html(text, job.frames, job.expected)


def _progress_html(text: str, done: int, expected: int | None) -> str:
    value = f'value="{min(done, expected)}" max="{expected}"' if expected else ""
    return (
        f'<div class="empty working"><progress {value} aria-label="Progress"></progress>'
        f'<p role="status">{escape(text)}</p></div>'
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
