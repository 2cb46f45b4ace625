"""From a fragmented video to a finished one: audio added, index first, nothing re-encoded."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av

from .audio import AudioTrack
from .mp4 import Mp4File

Timed: TypeAlias = "tuple[Fraction, av.Packet[av.stream.Stream]]"


def remux(video: Path, output: Path, audio: AudioTrack | None, end: Fraction) -> None:
    """Copy the packets of `video` and `audio` into a fast-start MP4.

    Args:
        video: MP4 with one video stream.
        output: the file to write.
        audio: where sound comes from.
        end: when sound stops, in seconds.
    """
    with ExitStack() as stack:
        pictures = stack.enter_context(av.open(f"file:{video}"))
        target = stack.enter_context(Mp4File(output, "faststart"))
        stream = target.container.add_stream_from_template(pictures.streams.video[0], opaque=True)
        timed = [_pictures(pictures, stream)]
        if audio is not None:
            sound = stack.enter_context(av.open(f"file:{audio.path}"))
            copied = audio.copy_into(target.container, sound)
            if copied:
                timed.append(audio.packets(sound, copied, end))
        for _, packet in heapq.merge(*timed, key=lambda entry: entry[0]):
            target.mux(packet)


def _pictures(container: av.container.InputContainer, stream: av.stream.Stream) -> Iterator[Timed]:
    video: av.stream.Stream = container.streams.video[0]
    for packet in container.demux(video):
        if packet.dts is None:
            continue
        time = packet.dts * packet.time_base
        packet.stream = stream
        yield time, packet
