"""How a video's pictures lie as they are stored, and turning them upright."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from numpy.typing import NDArray

from cfcontra.opencv import cv2

_LOG = logging.getLogger(__name__)


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
