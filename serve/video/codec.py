"""Choosing a video encoder: its name checked, its pixel format and quality settled."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from fractions import Fraction

import av

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
_TAGS = {"hevc": "hvc1"}  # FFmpeg's own choice, hev1, plays in no player of Apple's


@dataclass(frozen=True)
class Encoder:
    """A video encoder that exists here.

    Attributes:
        name: as FFmpeg calls it.
        pix_fmt: what it is fed with; planar 4:2:0 where it takes that.
        options: quality settings; empty means that a bit rate is set instead.
        tag: how MP4 is to call what it makes; empty for FFmpeg's choice.
    """

    name: str
    pix_fmt: str
    options: dict[str, str]
    tag: str = ""

    def bit_rate(self, width: int, height: int, rate: Fraction) -> int:
        """Bits per second; 0 where `options` settle the quality."""
        return 0 if self.options else round(_BITS_PER_PIXEL * width * height * float(rate))


def find_encoder(name: str) -> Encoder:
    """Look an encoder up by name.

    Raises:
        InputError: there is no such video encoder.
    """
    try:
        codec = av.Codec(name, "w")
    except ValueError:
        raise InputError(
            f"--codec {name}: no such video encoder. There are {', '.join(encoders_for_mp4())}."
        ) from None
    if codec.type != "video":
        raise InputError(f"--codec {name}: encodes {codec.type}, not video.")
    formats = [entry.name for entry in codec.video_formats or ()]
    pix_fmt = "yuv420p" if not formats or "yuv420p" in formats else formats[0]
    if name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # else it tells its settings, past FFmpeg's log
    return Encoder(name, pix_fmt, dict(_QUALITY.get(name, {})), _TAGS.get(codec.canonical_name, ""))


def encoders_for_mp4() -> list[str]:
    """Encoders here that make video which MP4 can hold; some need hardware that may be missing."""
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        held = container.supported_codecs
    names = []
    for name in sorted(av.codecs_available):
        try:
            codec = av.Codec(name, "w")
        except ValueError:
            continue
        if codec.type == "video" and codec.name == name and codec.canonical_name in held:
            names.append(name)
    return names
