"""From the segments of a video to one finished file; nothing is encoded again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av

from .audio import AudioTrack
from .mp4 import Mp4File

Timed: TypeAlias = "tuple[Fraction, av.Packet[av.stream.Stream]]"


@dataclass(frozen=True)
class Segment:
    """A part of a video in a file of its own.

    Attributes:
        path: MP4 with one video stream that begins at 0.
        base: when it begins in the whole, in units of the time base its frames were written in;
            the file's own may be finer.
    """

    path: Path
    base: int


def remux(
    segments: Sequence[Segment],
    time_base: Fraction,
    output: Path,
    audio: AudioTrack | None,
    end: Fraction,
) -> None:
    """Copy the packets of all segments and of `audio` into a fast-start MP4.

    Args:
        segments: at least one, written by the same encoder with the same settings.
        time_base: unit of their bases, in seconds.
        output: the file to write.
        audio: where sound comes from.
        end: when sound stops, in seconds.
    """
    with ExitStack() as stack:
        first = stack.enter_context(av.open(f"file:{segments[0].path}"))
        target = stack.enter_context(Mp4File(output, "faststart"))
        pictures = first.streams.video[0]
        stream = target.container.add_stream_from_template(pictures, opaque=True)
        stream.codec_context.codec_tag = pictures.codec_context.codec_tag
        timed = [_pictures(segments, time_base, stream)]
        sound = audio.open() if audio is not None else None
        if audio is not None and sound is not None:
            stack.enter_context(sound)
            copied = audio.copy_into(target.container, sound)
            if copied:
                timed.append(audio.packets(sound, copied, end))
        for _, packet in heapq.merge(*timed, key=lambda entry: entry[0]):
            target.mux(packet)


def _pictures(
    segments: Sequence[Segment], time_base: Fraction, stream: av.stream.Stream
) -> Iterator[Timed]:
    last: int | None = None
    for segment in segments:
        with av.open(f"file:{segment.path}") as container:
            video: av.stream.Stream = container.streams.video[0]
            for packet in container.demux(video):
                if packet.dts is None or packet.pts is None:
                    continue
                base = round(segment.base * time_base / packet.time_base)
                packet.pts += base
                packet.dts += base
                # Frames that are stored out of order are decoded before their time; where
                # segments meet that may be too early. A few ticks on is still early enough.
                if last is not None and packet.dts <= last:
                    packet.dts = last + 1
                last = packet.dts
                packet.stream = stream
                yield packet.dts * packet.time_base, packet
