"""Addresses of streams: telling them from files, and showing them without their secrets."""

from __future__ import annotations

import re

_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp", "tcp", "mms")
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SECRET = re.compile(
    r"((?:user|username|login|pass|passwd|password|pwd|pw|token|key|secret|auth|sig|signature)"
    r"(?:=|%3d))[^&/;_]*",
    re.IGNORECASE,
)


def is_stream(source: str) -> bool:
    """Whether the user named a network stream rather than a file."""
    match = _ADDRESS.match(source)
    return match is not None and match[1].lower() in _SCHEMES


def redacted(address: str) -> str:
    """The address as it may be shown, logged and written down.

    User, password and the query are replaced by `***`, and so is what cameras take as
    `password=…` within the path. A password with an unescaped `/` or `@` is covered too.
    """
    match = _ADDRESS.match(address)
    if match is None:
        return address
    rest = address[match.end() :]
    rest, asked, _ = rest.partition("?")
    rest = rest.partition("#")[0]
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    rest = _SECRET.sub(r"\1***", rest)
    return f"{match[1]}://{rest}{'?***' if asked else ''}"


def file_stem(address: str) -> str:
    """A file name, without suffix, for what comes from a stream: its host and path."""
    shown = redacted(address).replace("***", "")
    match = _ADDRESS.match(shown)
    rest = shown[match.end() :] if match else shown
    return re.sub(r"[^A-Za-z0-9]+", "-", rest).strip("-").lower() or "stream"
