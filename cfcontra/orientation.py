"""How a video's pictures lie as they are stored, and turning them upright."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray

from cfcontra.opencv import cv2

_LOG = logging.getLogger(__name__)
_NAMELESS = range(28, 44)  # side data that FFmpeg knows and PyAV does not, such as EXIF


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
        matrix = _display_matrix(frame)
        if matrix is None:
            return cls()
        a, b, _, c, d = matrix[:5].tolist()
        if a * d == 0 and b * c != 0 and a == d:
            return cls(True, mirrored=c < 0, upended=b < 0)
        if b == c == 0 and a * d != 0:
            return cls(False, mirrored=a < 0, upended=d < 0)
        _LOG.warning("%s: its rotation is not a quarter turn and is ignored.", name)
        return cls()

    def upright(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height upright, of those stored; or stored, of those upright."""
        return size[::-1] if self.transposed else size

    def apply(
        self, picture: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """The picture as it is meant to be seen; itself where nothing is to do.

        Args:
            picture: `[H, W]` or `[H, W, C]`.
            out: array to fill, `[W, H]` or `[W, H, C]` where transposed; None for a new one.
        """
        stored: Any = cv2.transpose(picture) if self.transposed else picture
        if self.mirrored or self.upended:
            code = -1 if self.mirrored and self.upended else int(self.mirrored)
            upright: NDArray[np.uint8] = np.asarray(cv2.flip(stored, code, dst=out), np.uint8)
            return upright
        if out is None:
            return np.asarray(stored, np.uint8)
        out[:] = stored
        return out


def _display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    try:
        side_data: Any = frame.side_data
    except ValueError:  # where there is one of those, PyAV gives none at all
        side_data = _without_nameless(frame).side_data
    if SideDataType.DISPLAYMATRIX not in side_data:
        return None
    return np.frombuffer(side_data[SideDataType.DISPLAYMATRIX], np.int32)


def _without_nameless(frame: av.VideoFrame) -> av.VideoFrame:
    """The same picture, less the side data that PyAV cannot name."""
    graph = Graph()
    graph.threads = 1
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1),
        ),
        *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in _NAMELESS),
        graph.add("buffersink"),
    ).configure()
    graph.vpush(frame)
    return graph.vpull()
