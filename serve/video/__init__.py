"""Video: reading, segmenting and writing it."""

from __future__ import annotations

from .pipeline import StoppedError
from .segment import VideoReport, segment, segment_video
from .sink import Context, Segmented, Sink
from .source import Frame, Source, VideoFormat
from .video_sink import VideoSink
from .writer import VideoWriter, write_video

__all__ = [
    "Context",
    "Frame",
    "Segmented",
    "Sink",
    "Source",
    "StoppedError",
    "VideoFormat",
    "VideoReport",
    "VideoSink",
    "VideoWriter",
    "segment",
    "segment_video",
    "write_video",
]
