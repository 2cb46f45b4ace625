"""The sound of what is read once: it is kept in a file while the pictures pass."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import av

from cfcontra.errors import InputError, system_reason
from cfcontra.files import refusals

from .audio import AudioTrack, Increasing

_FILE = "sound.nut"  # holds every codec and time as they are, and can be read up to its last packet
_LATER = 60  # seconds that are added, as times must not be negative there


class PipedSound:
    """Takes the audio packets of a container as they come between those of the video.

    Those that come before `keep` wait in memory, and are dropped at `begin` if nobody has asked.

    Args:
        name: of the source, for messages.
        streams: the container's.
    """

    def __init__(self, name: str, streams: tuple[av.AudioStream, ...]) -> None:
        self._name, self._streams = name, streams
        self._waiting: list[av.Packet[av.stream.Stream]] | None = []
        self._lock = threading.Lock()
        self._path = Path()
        self._file: av.container.OutputContainer | None = None
        self._kept: dict[int, av.stream.Stream] = {}
        self._lengths: dict[int, Fraction] = {}
        self._increases = Increasing(name)

    def keep(self, folder: Path, start: Fraction) -> AudioTrack:
        """Let the sound be kept.

        Args:
            folder: existing, for the file.
            start: seconds to subtract from its timestamps.

        Raises:
            InputError: the disk is full or refuses.
        """
        with self._lock:
            if self._waiting is not None:
                self._path = folder / _FILE
                with refusals(self._path):
                    options = {"fflags": "+flush_packets"}
                    self._file = av.open(f"file:{self._path}", "w", format="nut", options=options)
                for stream in self._streams:
                    made = self._file.add_stream_from_template(stream, opaque=True)
                    self._kept[stream.index] = made
                for packet in self._waiting:
                    self._write(packet)
                self._waiting = None
        return AudioTrack(
            self._name,
            f"file:{self._path}",
            start + _LATER,
            complete=self.close,
            last_lengths=self._lengths,
        )

    def begin(self) -> None:
        """The pictures begin to pass; what nobody has asked for by now is not wanted."""
        with self._lock:
            self._waiting = None

    def take(self, packet: av.Packet[av.stream.Stream]) -> None:
        """One packet of the streams; one that overlaps another is not kept.

        Raises:
            InputError: the disk is full or refuses.
        """
        with self._lock:
            if self._waiting is not None:
                self._waiting.append(packet)
            elif self._file is not None:
                self._write(packet)

    def _write(self, packet: av.Packet[av.stream.Stream]) -> None:
        if packet.dts is None or packet.pts is None or self._file is None:
            return
        if not self._increases(packet):
            return
        packet.pts += round(_LATER / packet.time_base)
        packet.dts += round(_LATER / packet.time_base)
        packet.stream = self._kept[packet.stream_index]
        if packet.duration:
            self._lengths[packet.stream_index] = packet.duration * packet.time_base
        try:
            with refusals(self._path):
                self._file.mux(packet)
        except av.FFmpegError as error:
            reason = system_reason(error)
            raise InputError(f"{self._path}: keeping the sound failed ({reason}).") from error

    def close(self) -> None:
        """Complete the file; what comes now is dropped."""
        with self._lock:
            self._increases.close()
            file, self._file = self._file, None
            if file is not None:
                file.close()
