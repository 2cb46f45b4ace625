"""Planar 4:2:0 pictures as arrays, and turning them upright."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cfcontra.orientation import Orientation

from .color import BT709, Color

PLANAR = frozenset({"yuv420p", "yuvj420p"})
"""Formats whose three planes are 8-bit luma and two quarter-size chroma planes."""


def to_planar(
    reformatter: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int], color: Color
) -> av.VideoFrame:
    """A frame as 8-bit planar YUV 4:2:0 of a size `(width, height)`, in a colour's own samples."""
    return reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format="yuv420p",
        dst_colorspace=color.matrix,
        dst_color_range=color.range,
    )


def from_pixels(
    reformatter: VideoReformatter, pixels: NDArray[np.uint8], layout: str
) -> av.VideoFrame:
    """A picture `[H, W, 3]` in `rgb24` or `bgr24` as 8-bit planar YUV 4:2:0 in BT.709."""
    frame = av.VideoFrame.from_ndarray(pixels, format=layout)
    planar = to_planar(reformatter, frame, (frame.width, frame.height), BT709)
    BT709.tag(planar)
    return planar


def plane_rows(plane: av.video.plane.VideoPlane, channels: int = 1) -> NDArray[np.uint8]:
    """A writable view `[H, W · channels]` of an 8-bit plane.

    Args:
        plane: of a frame, whose rows may be padded.
        channels: samples of a pixel that lie side by side, such as 3 of `rgb24`.
    """
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    view: NDArray[np.uint8] = rows[: plane.height, : plane.width * channels]
    return view


def planes(frame: av.VideoFrame) -> list[NDArray[np.uint8]]:
    """Writable views of planes 4:2:0: `[H, W]` and `[ceil(H/2), ceil(W/2)]` twice."""
    return [plane_rows(plane) for plane in frame.planes]


def turned(frame: av.VideoFrame, turn: Orientation) -> av.VideoFrame:
    """A frame 4:2:0 as it is meant to be seen; itself where nothing is to do."""
    if turn == Orientation():
        return frame
    upright = av.VideoFrame(*turn.upright((frame.width, frame.height)), "yuv420p")
    upright.colorspace, upright.color_range = frame.colorspace, frame.color_range
    for source, target in zip(planes(frame), planes(upright), strict=True):
        turn.apply(source, target)
    return upright
