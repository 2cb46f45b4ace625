"""Looking at an uploaded video before any of it is decoded."""

from __future__ import annotations

from pathlib import Path

import av

from cfcontra.errors import InputError

from ..video.stated import stated_frames
from .settings import Limits

FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf")
"""Containers, by FFmpeg's names. Playlists and scripts are none of them: those name other files."""


def check_video(path: Path, limits: Limits) -> int | None:
    """Refuse what is no video, or one beyond the limits, by its header.

    Returns:
        frames in it, as far as the header tells.

    Raises:
        InputError: no video that is taken here, too large a picture, or too many frames.
    """
    only = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"}
    # The size is that of the frames as they are stored: what is cropped takes memory too.
    whole = {"flags2": "+ignorecrop", "max_pixels": str(2 * limits.video_pixels)}
    try:
        # By a URL, for else FFmpeg could take a part of the name for a protocol.
        with av.open(f"file:{path}", options=whole, container_options=only) as container:
            stream = container.streams.video[0]
            width, height = stream.codec_context.width, stream.codec_context.height
            frames = stated_frames(container, stream, stream.average_rate)
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise InputError(
            "This is not a video that can be read, or it is damaged. MP4, MOV, MKV, WebM, AVI, "
            "MPEG, FLV, Ogg and WMV work."
        ) from error
    if width * height > limits.video_pixels:
        raise InputError(
            f"The video is {width}×{height} pixels; up to {limits.video_pixels / 1e6:.1f} "
            "megapixels a frame are allowed here."
        )
    if frames is not None and frames > limits.video_frames:
        raise InputError(
            f"The video has {frames} frames; up to {limits.video_frames} are allowed here."
        )
    return frames
