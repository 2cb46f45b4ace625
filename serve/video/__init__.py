"""Video files: reading, segmenting and writing them."""

from __future__ import annotations

from .pipeline import VideoReport, segment_video
from .writer import VideoWriter, write_video

__all__ = ["VideoReport", "VideoWriter", "segment_video", "write_video"]
