"""How samples stand for colours: matrix, range and tags, carried from source to output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

# AVColorSpace numbers (ITU-T H.273) of the matrices that swscale knows.
_BT709, _UNSPECIFIED, _FCC, _SMPTE240M, _BT2020 = 1, 2, 4, 7, 9
_MATRICES = {
    _BT709: Colorspace.ITU709,
    _FCC: Colorspace.FCC,
    _SMPTE240M: Colorspace.SMPTE240M,
    _BT2020: Colorspace.BT2020,
}
_FULL_RANGE = frozenset({"yuvj420p", "yuvj422p", "yuvj444p", "yuvj440p", "yuvj411p"})


@dataclass(frozen=True)
class Color:
    """Colour description of a video.

    Attributes:
        matrix: RGB ↔ YUV matrix, as swscale names it.
        range: limited (MPEG) or full (JPEG) range.
        tags: what the container should say, as attributes of an encoder.
    """

    matrix: Colorspace
    range: ColorRange
    tags: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Color:
        """The description of a decoded frame; an untagged one stays untagged.

        Untagged YUV is taken as BT.601, as swscale does; RGB sources become BT.709.
        """
        full = frame.color_range == ColorRange.JPEG or frame.format.name in _FULL_RANGE
        if frame.format.is_rgb or frame.format.name == "pal8":
            return BT709
        color_range = ColorRange.JPEG if full else ColorRange.MPEG
        matrix = _MATRICES.get(frame.colorspace, Colorspace.ITU601)
        tags = {
            "color_range": int(color_range) if full else frame.color_range,
            "colorspace": frame.colorspace if frame.colorspace else _UNSPECIFIED,
            "color_primaries": frame.color_primaries,
            "color_trc": frame.color_trc,
        }
        return cls(matrix, color_range, tuple(tags.items()))

    def tag(self, target: Any) -> None:
        """Write the tags to a frame or an encoder."""
        for name, value in self.tags:
            setattr(target, name, value)

    def yuv(self, colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB colours `[N, 3]` as YUV samples `[N, 3]`."""
        row = np.repeat(np.ascontiguousarray(colors)[None], 2, axis=0)
        frame = av.VideoFrame.from_ndarray(row, format="rgb24").reformat(
            format="yuv444p", dst_colorspace=self.matrix, dst_color_range=self.range
        )
        return np.asarray(frame.to_ndarray(channel_last=True)[0], dtype=np.uint8)


BT709 = Color(
    Colorspace.ITU709,
    ColorRange.MPEG,
    (
        ("color_range", int(ColorRange.MPEG)),
        ("colorspace", _BT709),
        ("color_primaries", _BT709),
        ("color_trc", _BT709),
    ),
)
"""What HD video uses; for frames that start as RGB."""
