"""Reading a video file or stream: upright frames with exact timestamps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.format import Flags

from cfcontra.continuity import Continuity
from cfcontra.errors import InputError, system_reason

from .audio import AudioTrack, known_sounds, start_of
from .open_file import open_container
from .pipe import Pipe
from .piped_sound import PipedSound
from .shape import Shaper
from .source import Frame, Mark, Source
from .stated import stated_end, stated_frames

_LOG = logging.getLogger(__name__)
_COMPLETE = 0.95  # edit lists may hide a few frames of a whole file
_RUN_UP = 5  # seconds: what follows a key frame directly may need what is before it


class VideoReader(Source):
    """Decodes the first video stream of a file or pipe, frame by frame.

    Frames come upright (the rotation is applied), as 8-bit planar YUV 4:2:0 in the
    source's own matrix and range, with timestamps in `format.time_base` that always
    increase. Packets that cannot be decoded are skipped and counted.

    Args:
        source: a video file, or a pipe that holds a container (MPEG-TS, Matroska, …).
        threads: decoding threads, None for one per core.
        hwaccel: FFmpeg's name of the hardware that decodes, such as `cuda`; None for the CPU.
        max_pixels: of a frame as it is stored, for videos of strangers; a larger one, which may
            come anywhere, ends the reading. None for any.

    Raises:
        InputError: missing, not a video, without a single frame, too large, or not decoded there.
    """

    def __init__(
        self,
        source: Path | Pipe,
        threads: int | None = None,
        hwaccel: str | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self.name = str(source)
        self._source, self._threads, self._hwaccel = source, threads, hwaccel
        self._max_pixels = max_pixels
        self.resumable = isinstance(source, Path)
        self._skipped = self._owed = 0
        self._last: int | None = None
        self._container, self._stream = self._open()
        self._sounds = known_sounds(self._container)
        self._piped_sound = PipedSound(self.name, self._sounds)
        try:
            self._frames = self._decode()
            self._first = next(self._frames, None)
            if self._first is None:
                raise InputError(f"{self.name}: not one frame in it can be decoded.")
            self._shape = Shaper.of_stream(self._first, self._stream, self.name)
        except BaseException:
            self._container.close()
            raise
        self.format = self._shape.format
        whole = self._container if isinstance(self._source, Path) else None
        self.expected = stated_frames(whole, self._stream, self.format.rate)
        self._stated_end = None if whole is None else stated_end(whole)

    def _open(self) -> tuple[av.container.InputContainer, av.VideoStream]:
        return open_container(self._source, self._threads, self._hwaccel, self._max_pixels)

    def sound(self, folder: Path) -> AudioTrack | None:
        if not self._container.streams.audio:
            return None
        if isinstance(self._source, Path):
            return AudioTrack(self.name, f"file:{self._source}", self._start(), self._stream.index)
        return self._piped_sound.keep(folder, self._start())

    def _start(self) -> Fraction:
        return start_of(self._container, self._stream)

    def interrupt(self) -> None:
        if isinstance(self._source, Pipe):
            self._source.interrupt()

    def close(self) -> None:
        with suppress(av.FFmpegError, OSError):  # a full disk has been said by then
            self._piped_sound.close()
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        time_base = self.format.time_base
        step = max(1, round(1 / (self.format.rate * time_base)))
        offset = round(self._start() / time_base)
        last, count = self._last, self._skipped
        frame = self._first
        self._first = None
        self._piped_sound.begin()
        while frame is not None:
            origin = frame.pts
            duration = frame.duration
            pts = origin - offset if origin is not None else None
            if last is not None and (pts is None or pts <= last):
                pts = last + (step if pts is None else 1)
            image = self._shape(frame)
            image.pts = last = pts or 0
            image.time_base, image.duration = time_base, duration or step
            yield Frame(count, image, origin)
            count += 1
            frame = next(self._frames, None)
            if frame is None:
                frame = self._held_back(Mark(count, last, origin, self.damaged))
        self._say_what_is_missing(count)

    def _say_what_is_missing(self, count: int) -> None:
        if self.damaged:
            _LOG.warning("%s: %d damaged packets skipped.", self.name, self.damaged)
        if count < _COMPLETE * self._stream.frames:
            _LOG.warning(
                "%s: ends early, with %d of %d frames.", self.name, count, self._stream.frames
            )
        elif self._stated_end and self._continuity.end < _COMPLETE * self._stated_end:
            _LOG.warning(
                "%s: ends early, after %.1f of about %.1f seconds.",
                self.name,
                self._continuity.end,
                self._stated_end,
            )

    def skip_to(self, mark: Mark) -> None:
        if not isinstance(self._source, Path):
            super().skip_to(mark)
        if not ((not self._restarts() and self._seek(mark)) or self._count_up_to(mark)):
            raise InputError(
                f"{self.name}: has fewer than the {mark.frames} frames that were read before. "
                "Leave --resume out to start over."
            )
        self._first = next(self._frames, None)
        self._skipped, self._last, self.damaged = mark.frames, mark.pts, mark.damaged

    def _restarts(self) -> bool:
        """Whether the clock starts anew anywhere, so that a time may stand for two places."""
        if not Flags.ts_discont & Flags(self._container.format.flags):
            return False
        with suppress(av.FFmpegError, OSError):  # decoding will meet it again
            for packet in self._container.demux(self._stream, *self._sounds):
                self._continuity(packet)
        return self._continuity.restarted

    def _seek(self, mark: Mark) -> bool:
        """Decode from a key frame some seconds before the mark; whether it was met."""
        if mark.origin is None:
            return False
        target = mark.origin - round(_RUN_UP / self.format.time_base)
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except (av.FFmpegError, OSError):
            return False
        self._frames = self._decode()
        for frame in self._frames:
            if frame.pts is None or frame.pts >= mark.origin:
                return frame.pts == mark.origin
        return False

    def _count_up_to(self, mark: Mark) -> bool:
        """Decode from the start as many frames as lie before the mark; whether there are."""
        self._open_again()
        self._frames = self._decode()
        return sum(1 for _ in zip(range(mark.frames), self._frames, strict=False)) == mark.frames

    def _held_back(self, mark: Mark) -> av.VideoFrame | None:
        """The next frame behind the last one given, where packets are left that gave none.

        At the end a decoder of several threads gives up what it holds where one packet of it is
        damaged; one thread only loses that packet.
        """
        if self._owed <= 0 or not self._has_another_try:
            return None
        self._threads = 1
        self._open_again()
        if not self._seek(mark):
            return None
        self.damaged = mark.damaged
        return next(self._frames, None)

    @property
    def _has_another_try(self) -> bool:
        found_again = isinstance(self._source, Path) and not self._continuity.restarted
        return found_again and self._threads != 1

    def _open_again(self) -> None:
        self._container.close()
        self._container, self._stream = self._open()
        self._sounds = known_sounds(self._container)

    def _decode(self) -> Iterator[av.VideoFrame]:
        self._continuity, self._owed = Continuity(), 0
        try:
            for packet in self._container.demux(self._stream, *self._sounds):
                self._continuity(packet)
                if packet.stream.index != self._stream.index:
                    if isinstance(self._source, Pipe):
                        self._piped_sound.take(packet)
                    continue
                self._owed += bool(packet.size and not packet.is_discard)
                try:
                    frames = self._stream.decode(packet)
                except av.error.InvalidDataError:
                    self._check_size(failed=True)
                    if packet.size or not self._has_another_try:  # else it is met again
                        self.damaged += 1
                    continue
                self._check_size()
                self._owed -= len(frames)
                yield from frames
        except av.error.InvalidDataError:
            self.damaged += 1
        except (av.FFmpegError, OSError) as error:
            self._check_size(failed=True)
            raise InputError(f"{self.name}: reading it failed ({system_reason(error)}).") from error

    def _check_size(self, failed: bool = False) -> None:
        """Refuse a frame that is too large, also where the decoder did.

        How the decoder puts it differs from codec to codec, and some take it for damage; but
        it then has the size that it did not take, or none.
        """
        if self._max_pixels is None:
            return
        decoder = self._stream.codec_context
        width = max(decoder.width, decoder.coded_width)  # stored, with what is cropped
        height = max(decoder.height, decoder.coded_height)
        if width * height > self._max_pixels or (failed and not width * height):
            raise InputError(
                f"{self.name}: a frame is larger than the {self._max_pixels / 1e6:.1f} megapixels "
                "that are allowed."
            )
