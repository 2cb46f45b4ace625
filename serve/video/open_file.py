"""Opening a container: what in it is the video, and why it cannot be used if it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import av
import av.logging
from av.codec.hwaccel import HWAccel, hwdevices_available

from cfcontra.errors import InputError, system_reason

from .pipe import Pipe

_PICTURES = ("image2", "tty", "lrc", "srt", "ass", "webvtt")
_DESCRIBED = re.compile(r"Video: (\S+?),? (?:\((\S+?)[ )])?")


def open_container(
    source: Path | Pipe,
    threads: int | None = None,
    hwaccel: str | None = None,
    max_pixels: int | None = None,
) -> tuple[av.container.InputContainer, av.VideoStream]:
    """Open a file or pipe; the container and its first video stream, ready to decode.

    Args:
        source: where from.
        threads: decoding threads, None for one per core.
        hwaccel: FFmpeg's name of the hardware that decodes, such as `cuda`; None for the CPU.
        max_pixels: of a frame; the decoder makes room for none that is much larger. None for any.

    Raises:
        InputError: missing, not a video, or nothing here decodes it.
    """
    # The decoder counts columns that it pads with, up to 63 of them.
    options = {} if max_pixels is None else {"max_pixels": str(2 * max_pixels)}
    container = _open(source, hwaccel, options)
    try:
        stream = _video_stream(source, container)
        if hwaccel is not None and not stream.codec_context.is_hwaccel:
            raise InputError(
                f"--hwaccel {hwaccel}: does not decode the {stream.codec_context.name} of {source}."
            )
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads or 0
        stream.codec_context.options = options
    except BaseException:
        container.close()
        raise
    return container, stream


def _open(
    source: Path | Pipe, hwaccel: str | None, options: dict[str, str]
) -> av.container.InputContainer:
    if isinstance(source, Path):
        if source.is_dir():
            raise InputError(f"{source}: is a folder without videos or pictures.")
        if not source.is_file():
            raise InputError(f"{source}: no such file.")
    accelerator = None if hwaccel is None else find_accelerator(hwaccel)
    file = f"file:{source}" if isinstance(source, Path) else source
    try:
        container = av.open(file, "r", options=options, hwaccel=accelerator)
    except (av.FFmpegError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        if accelerator is not None and not isinstance(error, av.error.InvalidDataError):
            raise InputError(
                f"--hwaccel {hwaccel}: cannot decode {source} here ({system_reason(error)}). "
                "Leave it out to decode on the CPU."
            ) from error
        raise InputError(f"{source}: not a readable video ({system_reason(error)}).") from error
    name = container.format.name
    if name in _PICTURES or (name.endswith("_pipe") and isinstance(source, Path)):
        container.close()
        raise InputError(f"{source}: not a video (found: {container.format.long_name}).")
    return container


def find_accelerator(name: str) -> HWAccel:
    """Hardware that decodes, by FFmpeg's name; what it cannot decode is refused when it is opened.

    Raises:
        InputError: FFmpeg was built without it.
    """
    known = hwdevices_available()
    if name not in known:
        raise InputError(f"--hwaccel {name}: unknown here. There are {', '.join(known)}.")
    return HWAccel(device_type=name, allow_software_fallback=False)


def reason_of(error: Exception) -> str:
    """What FFmpeg says went wrong, without the address of a stream, which may hold a password."""
    if isinstance(error, av.error.ExitError):
        return "nothing came for too long"
    told = getattr(error, "strerror", None) or isinstance(error, RuntimeError)
    return system_reason(error) if told else "not an address"


def _video_stream(source: Path | Pipe, container: av.container.InputContainer) -> av.VideoStream:
    for stream in container.streams.video:
        if av.stream.Disposition.attached_pic in av.stream.Disposition(stream.disposition):
            continue
        if stream.codec_context is None:
            raise InputError(
                f"{source}: nothing here decodes its video codec{_codec_of(source)}. Convert it "
                "to H.264 first."
            )
        return stream
    raise InputError(f"{source}: has no video stream.")


def _codec_of(source: Path | Pipe) -> str:
    """What FFmpeg says the codec is: PyAV does not name what it has no decoder for."""
    if not isinstance(source, Path):
        return ""
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.WARNING)
    av.logging.set_skip_repeated(False)  # or the next file is told what this one's codec is
    try:
        with av.logging.Capture() as log, av.open(f"file:{source}"):
            text = " ".join(message for _, _, message in log)
    except (av.FFmpegError, OSError):
        return ""
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
    found = _DESCRIBED.search(text)
    names = [name for name in found.groups() if name not in (None, "none")] if found else []
    return f" ({', '.join(names)})" if names else ""
