"""How long a container says its video is."""

from __future__ import annotations

from fractions import Fraction

import av
from av.format import Flags


def stated_frames(
    container: av.container.InputContainer | None, stream: av.VideoStream, rate: Fraction | None
) -> int | None:
    """How many frames there are by the header, without decoding any; None if it does not say.

    Args:
        container: of the stream; None where its own duration is a guess, as for pipes.
        stream: the video.
        rate: frames per second, None if that is not known either.
    """
    if stream.frames or rate is None:
        return stream.frames or None
    seconds = Fraction(0)
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container is not None and container.duration:
        seconds = Fraction(container.duration, av.time_base)
    return max(1, round(seconds * rate)) if seconds > 0 else None


def stated_end(container: av.container.InputContainer) -> Fraction | None:
    """When the last of a file's packets ends by its header, in seconds; None if it does not say.

    MPEG-TS and its like and bare streams do not: their durations are taken from what is there.
    """
    no_header = Flags.ts_discont | Flags.no_timestamps
    if not container.duration or no_header & Flags(container.format.flags):
        return None
    return Fraction(container.duration, av.time_base)
