"""The sound of a source, to be copied beside the new pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction

import av

from cfcontra.continuity import Continuity

from .open_file import reason_of

_LOG = logging.getLogger(__name__)
_LAG = Fraction(10)  # seconds by which a stream's packets may lie behind those of another


@dataclass(frozen=True)
class AudioTrack:
    """Audio streams of a file or of a recording on a server, and when its pictures begin.

    Attributes:
        name: for messages, without credentials.
        address: as FFmpeg opens it, credentials and all.
        start: seconds to subtract from its timestamps.
        beside: index of the pictures' stream, which tells with those of the sound where the clock
            starts anew; None where there is none and the times go on as they are.
        timeout: seconds to open it in, and for each read; None for as long as it takes.
        complete: called before it is opened.
        last_lengths: seconds that the last packet of a stream takes, where the file tells no
            packet's length; those of others follow from when the next one begins.
    """

    name: str
    address: str = field(repr=False)
    start: Fraction
    beside: int | None = None
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
        known = known_sounds(source)
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

        Where reading fails the sound ends, with a warning; what overlaps itself is left out,
        also with one.
        """
        waited_for = set(copied)
        with closing(Increasing(self.name)) as increases:
            for packet in self._demuxed(source):
                if packet.dts is None or packet.pts is None:
                    continue
                offset = round(self.start / packet.time_base)
                packet.pts -= offset
                packet.dts -= offset
                time, index = packet.dts * packet.time_base, packet.stream_index
                if time >= end:
                    waited_for.discard(index)
                    if not waited_for or time >= end + _LAG:
                        return
                if index not in copied or packet.pts * packet.time_base >= end:
                    continue
                if not increases(packet):
                    continue
                if not packet.duration and index in self.last_lengths:
                    packet.duration = round(self.last_lengths[index] / packet.time_base)
                packet.stream = copied[index]
                yield time, packet

    def _demuxed(
        self, source: av.container.InputContainer
    ) -> Iterator[av.Packet[av.stream.Stream]]:
        pictures = [] if self.beside is None else [source.streams[self.beside]]
        move = Continuity()
        try:
            for packet in source.demux(*pictures, *known_sounds(source)):
                if self.beside is not None:
                    move(packet)
                yield packet
        except (av.FFmpegError, OSError) as error:
            _LOG.warning("%s: its sound ends early (%s).", self.name, reason_of(error))


class Increasing:
    """Tells the packets that go on in time from those that no container would take.

    Args:
        name: of the source, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name, self._refused = name, 0
        self._last: dict[int, int] = {}

    def __call__(self, packet: av.Packet[av.stream.Stream]) -> bool:
        """Whether a packet, whose times are known, is later than the last of its stream."""
        assert packet.dts is not None
        if packet.dts > self._last.get(packet.stream_index, packet.dts - 1):
            self._last[packet.stream_index] = packet.dts
            return True
        self._refused += 1
        return False

    def close(self) -> None:
        """Say what was left out."""
        if self._refused:
            _LOG.warning(
                "%s: sound that overlaps itself is left out (packets: %d).",
                *(self._name, self._refused),
            )
        self._refused = 0


def known_sounds(container: av.container.InputContainer) -> tuple[av.AudioStream, ...]:
    """The audio streams of a container whose codec is known."""
    return tuple(stream for stream in container.streams.audio if stream.codec_context is not None)


def start_of(container: av.container.InputContainer, video: av.VideoStream) -> Fraction:
    """When a container begins, in seconds: where its first stream does, 0 at the earliest."""
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.audio, video)
        if stream.start_time is not None and stream.time_base is not None
    ]
    return max(Fraction(0), min(starts, default=Fraction(0)))
