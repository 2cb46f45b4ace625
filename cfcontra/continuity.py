"""Time that goes on where the clock of a container starts anew."""

from __future__ import annotations

from typing import Any

import av

_BACK = 1.0  # seconds; within a recording no stream's packets go back at all
_WRAP = 2**32 / 90_000  # seconds: half of what MPEG's clock counts to
_NEAR = 5.0  # seconds between packets of several streams that lie beside each other


class Continuity:
    """Moves the packets of a container so that their times go on through restarts of its clock.

    Recordings that were put together byte by byte, or whose encoder was started again, begin
    anew in the middle. What follows is moved behind the end of what came before, by the same
    time in all streams, so that sound stays with the pictures. FFmpeg takes some restarts of
    MPEG's clock for its overflow and adds a day and more: those are taken back as well.

    Packets come in the container's order. Two passes over the same streams agree.

    Attributes:
        restarted: whether the clock has started anew so far.
        end: when the last of all packets so far ends, moved, in seconds.
    """

    def __init__(self) -> None:
        self.restarted = False
        self._shift = 0.0  # seconds, of the stream that restarted last
        self.end = 0.0
        self._streams: dict[int, tuple[float, float]] = {}  # last decoding time as stored; shift

    def __call__(self, packet: av.Packet[Any]) -> None:
        """Move one packet; one that ends a stream, without times, stays as it is."""
        if packet.dts is None and packet.pts is None:
            return
        unit = float(packet.time_base)
        length = (packet.duration or 0) * unit
        last, shift = self._streams.get(packet.stream_index, (None, self._shift))
        if packet.dts is not None:
            time = packet.dts * unit
            if last is not None and not last - _BACK <= time < last + _WRAP:
                shift = self._restart(packet, shift)
            elif last is not None:
                length = length or time - last  # many streams tell no lengths
            self._streams[packet.stream_index] = time, shift
        if ticks := round(shift / unit):
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        self.end = max(self.end, _shown(packet) + length)

    def _restart(self, packet: av.Packet[Any], shift: float) -> float:
        """The shift that brings a packet behind all others, or beside them if they are there."""
        self.restarted = True
        behind = self.end - _shown(packet)
        another = self._shift != shift  # stream has met this restart already
        if not (another and abs(behind - self._shift) < _NEAR):
            self._shift = behind
        return self._shift


def _shown(packet: av.Packet[Any]) -> float:
    """When a packet is shown, in seconds; when it is decoded where that is all it says."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    assert ticks is not None
    return float(ticks * packet.time_base)
