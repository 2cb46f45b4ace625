"""The sound of a source, to be copied beside the new pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioTrack:
    """Audio streams of a file, and when its pictures begin.

    Attributes:
        path: the file.
        start: seconds to subtract from its timestamps.
    """

    path: Path
    start: Fraction

    def copy_into(
        self, output: av.container.OutputContainer, source: av.container.InputContainer
    ) -> dict[int, av.stream.Stream]:
        """Add the streams that MP4 can hold to `output`; source index → new stream."""
        copied: dict[int, av.stream.Stream] = {}
        known = [stream for stream in source.streams.audio if stream.codec_context is not None]
        if len(known) < len(source.streams.audio):
            _LOG.warning("%s: audio in an unknown format is left out.", self.path)
        for stream in known:
            name = stream.codec_context.codec.canonical_name
            try:
                copied[stream.index] = output.add_stream_from_template(stream, opaque=True)
            except (ValueError, av.FFmpegError):
                _LOG.warning("%s: MP4 cannot hold %s audio; it is left out.", self.path, name)
        return copied

    def packets(
        self,
        source: av.container.InputContainer,
        copied: dict[int, av.stream.Stream],
        end: Fraction,
    ) -> Iterator[tuple[Fraction, av.Packet[av.stream.Stream]]]:
        """Packets that begin before `end` with their time in seconds, for the new streams."""
        for packet in source.demux(*(source.streams[index] for index in copied)):
            if packet.dts is None or packet.pts is None:
                continue
            offset = round(self.start / packet.time_base)
            packet.pts -= offset
            packet.dts -= offset
            time = packet.dts * packet.time_base
            if packet.pts * packet.time_base < end:
                packet.stream = copied[packet.stream_index]
                yield time, packet
