"""The sound of a source, to be copied beside the new pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av

from .open_file import reason_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioTrack:
    """Audio streams of a file or of a recording on a server, and when its pictures begin.

    Attributes:
        name: for messages, without credentials.
        address: as FFmpeg opens it, credentials and all.
        start: seconds to subtract from its timestamps.
        timeout: seconds to open it in, and for each read; None for as long as it takes.
        complete: called before it is opened.
        last_lengths: seconds that the last packet of a stream takes, where the file tells no
            packet's length; those of others follow from when the next one begins.
    """

    name: str
    address: str = field(repr=False)
    start: Fraction
    timeout: tuple[float, float] | None = None
    complete: Callable[[], None] = lambda: None
    last_lengths: dict[int, Fraction] = field(default_factory=dict)

    def open(self) -> av.container.InputContainer | None:
        """The container; None, with a warning, where it cannot be read any more.

        Pictures that have taken hours are not given up for their sound.
        """
        try:
            self.complete()
            return av.open(self.address, timeout=self.timeout)
        except (av.FFmpegError, OSError, ValueError) as error:
            _LOG.warning("%s: its sound is left out (%s).", self.name, reason_of(error))
            return None

    def copy_into(
        self, output: av.container.OutputContainer, source: av.container.InputContainer
    ) -> dict[int, av.stream.Stream]:
        """Add the streams that MP4 can hold to `output`; source index → new stream."""
        copied: dict[int, av.stream.Stream] = {}
        known = [stream for stream in source.streams.audio if stream.codec_context is not None]
        if len(known) < len(source.streams.audio):
            _LOG.warning("%s: audio in an unknown format is left out.", self.name)
        for stream in known:
            codec = stream.codec_context.codec.canonical_name
            try:
                copied[stream.index] = output.add_stream_from_template(stream, opaque=True)
            except (ValueError, av.FFmpegError):
                _LOG.warning("%s: MP4 cannot hold %s audio; it is left out.", self.name, codec)
        return copied

    def packets(
        self,
        source: av.container.InputContainer,
        copied: dict[int, av.stream.Stream],
        end: Fraction,
    ) -> Iterator[tuple[Fraction, av.Packet[av.stream.Stream]]]:
        """Packets that begin before `end` with their time in seconds, for the new streams.

        Where reading fails the sound ends, with a warning.
        """
        for packet in self._demuxed(source, list(copied)):
            if not packet.duration and packet.stream_index in self.last_lengths:
                packet.duration = round(self.last_lengths[packet.stream_index] / packet.time_base)
            if packet.dts is None or packet.pts is None:
                continue
            offset = round(self.start / packet.time_base)
            packet.pts -= offset
            packet.dts -= offset
            time = packet.dts * packet.time_base
            if packet.pts * packet.time_base < end:
                packet.stream = copied[packet.stream_index]
                yield time, packet

    def _demuxed(
        self, source: av.container.InputContainer, indices: list[int]
    ) -> Iterator[av.Packet[av.stream.Stream]]:
        try:
            yield from source.demux(*(source.streams[index] for index in indices))
        except (av.FFmpegError, OSError) as error:
            _LOG.warning("%s: its sound ends early (%s).", self.name, reason_of(error))


def start_of(container: av.container.InputContainer, video: av.VideoStream) -> Fraction:
    """When a container begins, in seconds: where its first stream does, 0 at the earliest."""
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.audio, video)
        if stream.start_time is not None and stream.time_base is not None
    ]
    return max(Fraction(0), min(starts, default=Fraction(0)))
