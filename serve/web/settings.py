"""What a server allows: limits, who may come in, where uploads lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """How much one visitor, and all of them together, may ask for.

    Attributes:
        image_bytes: size of an uploaded picture's file.
        image_pixels: pixels of a picture, by its header.
        batch_files: pictures in one call.
        batch_bytes: their size, all together.
        video_bytes: size of an uploaded video's file.
        video_pixels: pixels of one frame of a video.
        video_frames: frames of a video.
        running_jobs: videos that are segmented at the same time.
        waiting_jobs: videos that may wait for their turn.
        job_seconds: time a video may take once it runs.
        kept_seconds: time after which uploads and results are deleted.
        stored_bytes: all uploads and results together.
        queue: pictures that may wait for a model, all models together.
        held_bytes: pictures' files that are held in memory at once.
        request_seconds: time a picture may take once it has arrived.
        pixels_in_work: pixels of all decoded pictures that are held at once.
    """

    image_bytes: int = 20 * MEGABYTE
    image_pixels: int = 40_000_000
    batch_files: int = 32
    batch_bytes: int = 100 * MEGABYTE
    video_bytes: int = 2000 * MEGABYTE
    video_pixels: int = 4096 * 2304
    video_frames: int = 200_000
    running_jobs: int = 1
    waiting_jobs: int = 8
    job_seconds: float = 3600.0
    kept_seconds: int = 3600
    stored_bytes: int = 8000 * MEGABYTE
    queue: int = 128
    held_bytes: int = 500 * MEGABYTE
    request_seconds: float = 30.0
    pixels_in_work: int = 100_000_000


@dataclass(frozen=True)
class Settings:
    """Everything about a server but its models.

    Attributes:
        limits: what may be asked for.
        secrets: `TOKEN` or `USER:PASSWORD`; empty lets everybody in.
        hosts: names the server may be called by, beside addresses and this machine's own name;
            `*` is any.
        allow_urls: whether a picture may be named by its URL.
        scratch: folder for the private folder of uploads, None for the system's.
        max_batch: frames in one run of a model, None for what fits the device.
        log: file for a JSON line per REST request, `-` for standard error, None for none.
    """

    limits: Limits = field(default_factory=Limits)
    secrets: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    allow_urls: bool = False
    scratch: Path | None = None
    max_batch: int | None = None
    log: str | None = None
