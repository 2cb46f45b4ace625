"""Choosing a video encoder: its name checked, its pixel format and quality settled."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av

from cfcontra.config import nearest_hint
from cfcontra.errors import InputError

DEFAULT_CODEC = "libx264"
_BITS_PER_PIXEL = 0.12
_QUALITY: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "22"},
    "libx265": {"preset": "veryfast", "crf": "26", "x265-params": "log-level=error"},
    "libvpx-vp9": {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    "libsvtav1": {"crf": "35", "preset": "9"},
    "h264_nvenc": {"preset": "p4", "cq": "24"},
    "hevc_nvenc": {"preset": "p4", "cq": "26"},
}


@dataclass(frozen=True)
class Encoder:
    """A video encoder that exists here.

    Attributes:
        name: as FFmpeg calls it.
        pix_fmt: what it is fed with; planar 4:2:0 where it takes that.
        options: quality settings; empty means that a bit rate is set instead.
    """

    name: str
    pix_fmt: str
    options: dict[str, str]

    def bit_rate(self, width: int, height: int, rate: Fraction) -> int:
        """Bits per second; 0 where `options` settle the quality."""
        return 0 if self.options else round(_BITS_PER_PIXEL * width * height * float(rate))


def find_encoder(name: str) -> Encoder:
    """Look an encoder up by name.

    Raises:
        InputError: there is no such video encoder, or MP4 cannot hold what it makes.
    """
    try:
        codec = av.Codec(name, "w")
    except ValueError:
        codec = None
    if codec is None:
        raise InputError(
            f"--codec {name}: no such video encoder.{nearest_hint(name, _video_encoders())}"
        )
    if codec.type != "video":
        raise InputError(f"--codec {name}: encodes {codec.type}, not video.")
    formats = [entry.name for entry in codec.video_formats or ()]
    pix_fmt = "yuv420p" if not formats or "yuv420p" in formats else formats[0]
    return Encoder(name, pix_fmt, dict(_QUALITY.get(name, {})))


def _video_encoders() -> list[str]:
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "video" and codec.name == name:
            names.append(name)
    return names
