"""Videos are segmented in the background: a queue of jobs that can be watched and cancelled."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cfcontra.errors import CfcontraError, InputError

from ..video import StoppedError, segment_video
from ..video.areas import ClassAreas
from ..video.reader import VideoReader
from .batcher import Busy
from .models import ServedModel
from .scratch import Scratch
from .settings import Limits

_LOG = logging.getLogger(__name__)
_LOOK = 2.0  # seconds between two looks at the room that is left


class JobState(StrEnum):
    """Where a job stands; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass
class Job:
    """One video on its way.

    Attributes:
        id: what it is asked for by; nobody can guess it.
        model: name of the model.
        folder: where its files lie.
        state: where it stands.
        frames: frames done.
        expected: frames in all, None where the file does not say.
        error: why it failed.
        created: seconds since the epoch.
        started: the same, None while it waits.
        finished: the same, None until it has ended.
        areas: how much each class takes of the frames so far; None while it waits.
    """

    id: str
    model: str
    folder: Path
    state: JobState = JobState.WAITING
    frames: int = 0
    expected: int | None = None
    error: str | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    areas: ClassAreas | None = field(default=None, repr=False)
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    ended: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def result(self) -> Path:
        """The segmented video, once the job is done."""
        return self.folder / "segmented.mp4"


class Jobs:
    """Runs videos one after another, or as many at once as the limits say.

    Args:
        scratch: where their files lie.
        limits: how many, how long, how large.
    """

    def __init__(self, scratch: Scratch, limits: Limits) -> None:
        self._scratch, self._limits = scratch, limits
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(limits.running_jobs, thread_name_prefix="video")

    def start(self, upload: Path, model: ServedModel, opacity: float = 0.5) -> Job:
        """Queue a video.

        Args:
            upload: the file; it is moved away from there and deleted in the end.
            model: what to segment it with.
            opacity: share of the class colours, 0–1.

        Raises:
            Busy: too many jobs wait.
            InputError: not a video that can be read, or one beyond the limits.
        """
        from .video_file import check_video

        expected = check_video(upload, self._limits)
        job = Job(secrets.token_urlsafe(16), model.name, Path(), expected=expected)
        job.folder = self._scratch.folder("jobs") / job.id
        with self._lock:
            waiting = sum(not other.state.final for other in self._jobs.values())
            if waiting >= self._limits.running_jobs + self._limits.waiting_jobs:
                raise Busy("too many videos wait to be segmented")
            job.folder.mkdir(mode=0o700)
            source = job.folder / "upload"
            shutil.move(upload, source)
            self._jobs[job.id] = job
        self._pool.submit(self._run, job, source, model, opacity)
        return job

    def get(self, name: str) -> Job | None:
        """The job of that id, if there is one."""
        with self._lock:
            return self._jobs.get(name)

    def cancel(self, job: Job, wait: float = 10.0) -> None:
        """Stop a job and delete its files, the finished video too.

        Args:
            wait: seconds to wait for a running one to stop; it stops by itself later too.
        """
        job.stop.set()
        with self._lock:
            self._jobs.pop(job.id, None)
            if job.state is JobState.WAITING:
                self._end(job, JobState.CANCELLED)
        if job.ended.wait(wait):
            shutil.rmtree(job.folder, ignore_errors=True)

    def counts(self) -> dict[JobState, int]:
        """Jobs that are kept, by state."""
        with self._lock:
            states = [job.state for job in self._jobs.values()]
        return {state: states.count(state) for state in JobState}

    def remove_old(self, seconds: float) -> None:
        """Delete jobs that ended longer ago than that."""
        oldest = time.time() - seconds
        with self._lock:
            old = [job for job in self._jobs.values() if (job.finished or oldest) < oldest]
            for job in old:
                del self._jobs[job.id]
        for job in old:
            shutil.rmtree(job.folder, ignore_errors=True)

    def close(self) -> None:
        """Stop everything."""
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job, source: Path, model: ServedModel, opacity: float) -> None:
        with self._lock:
            if job.state.final:
                return
            job.state, job.started = JobState.RUNNING, time.time()
        try:
            self._segment(job, source, model, opacity)
        except StoppedError:
            self._end(job, JobState.CANCELLED)
        except CfcontraError as error:
            # No folder of the server's shows.
            job.error = str(error).replace(str(source), "the video").replace(f"{job.folder}/", "")
            self._end(job, JobState.FAILED)
        except Exception:  # noqa: BLE001 - whatever it is, other jobs go on
            _LOG.exception("job %s failed", job.id)
            job.error = "Something went wrong in the server."
            self._end(job, JobState.FAILED)
        else:
            self._end(job, JobState.DONE)
        source.unlink(missing_ok=True)
        with self._lock:
            forgotten = job.id not in self._jobs
        if forgotten:
            shutil.rmtree(job.folder, ignore_errors=True)

    def _segment(self, job: Job, source: Path, model: ServedModel, opacity: float) -> None:
        limits, begun = self._limits, time.monotonic()
        next_look = begun

        def progress(done: int, expected: int | None) -> None:
            nonlocal next_look
            job.frames, job.expected = done, expected
            if done > limits.video_frames:
                raise InputError(f"the video has more than {limits.video_frames} frames")
            now = time.monotonic()
            if now - begun > limits.job_seconds:
                raise InputError(f"the video took more than {limits.job_seconds:g} seconds")
            if now >= next_look:
                next_look = now + _LOOK
                if self._scratch.used() > limits.stored_bytes:
                    raise InputError("the server has no room left for the segmented video")

        job.areas = ClassAreas(model.metadata.label_space.num_classes)
        segment_video(
            VideoReader(source, max_pixels=limits.video_pixels),
            job.result,
            model,
            opacity=opacity,
            observers=[job.areas],
            progress=progress,
            stop=job.stop,
        )

    def _end(self, job: Job, state: JobState) -> None:
        job.state, job.finished = state, time.time()
        job.ended.set()
