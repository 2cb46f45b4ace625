"""Who is refused while sending gets to know why, over a real connection."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from serving import listening
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cfcontra.serve.web.guard import lingering

SIZE = 16_000_000  # more than a connection holds by itself


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/begun":
        await receive()
    await Response("too much", 413, {"Connection": "close"})(scope, receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with listening(lingering.Lingering(refuse)) as found:
        yield found


def answer(port: int, path: str, *, sent: int) -> str:
    """All that comes back, for a request that says to be larger than what is sent, or not."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
        connection.sendall(head.encode() + bytes(sent))
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.mark.parametrize("path", ["/unread", "/begun"])
def test_a_refusal_reaches_who_sends_all_before_reading(port: int, path: str) -> None:
    got = answer(port, path, sent=SIZE)
    assert got.startswith("HTTP/1.1 413")
    assert got.endswith("\r\n\r\ntoo much")


@pytest.mark.parametrize("limit", ["_SILENCE", "_LONGEST"])
def test_what_never_comes_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(lingering, "_SILENCE", 60.0)
    monkeypatch.setattr(lingering, limit, 0.1)
    started = time.monotonic()
    assert answer(port, "/unread", sent=1000).endswith("too much")
    assert time.monotonic() - started < 20
