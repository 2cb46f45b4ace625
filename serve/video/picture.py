"""Planar 4:2:0 pictures as arrays, and turning them upright."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .color import BT709, Color

_LOG = logging.getLogger(__name__)
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


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways a picture can lie: transposed first, then flipped.

    Attributes:
        transposed: rows and columns change places.
        mirrored: left and right change places.
        upended: top and bottom change places.
    """

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame, name: str) -> Orientation:
        """What the frame's display matrix asks for.

        The matrix sends pixel (x, y) to (a·x + c·y, b·x + d·y); angles between the
        quarter turns are not followed.
        """
        side_data: Any = frame.side_data
        if SideDataType.DISPLAYMATRIX not in side_data:
            return cls()
        matrix = np.frombuffer(side_data[SideDataType.DISPLAYMATRIX], np.int32)
        a, b, _, c, d = matrix[:5].tolist()
        if a * d == 0 and b * c != 0 and a == d:
            return cls(True, mirrored=c < 0, upended=b < 0)
        if b == c == 0 and a * d != 0:
            return cls(False, mirrored=a < 0, upended=d < 0)
        _LOG.warning("%s: its rotation is not a quarter turn and is ignored.", name)
        return cls()

    def apply(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture as it is meant to be seen; the frame itself where nothing is to do."""
        if self == Orientation():
            return frame
        width, height = frame.width, frame.height
        if self.transposed:
            width, height = height, width
        turned = av.VideoFrame(width, height, "yuv420p")
        turned.colorspace, turned.color_range = frame.colorspace, frame.color_range
        for source, target in zip(planes(frame), planes(turned), strict=True):
            plane = cv2.transpose(source) if self.transposed else source
            if self.mirrored or self.upended:
                code = -1 if self.mirrored and self.upended else int(self.mirrored)
                cv2.flip(plane, code, dst=target)
            else:
                target[:] = plane
        return turned
