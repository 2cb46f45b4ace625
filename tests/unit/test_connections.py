"""What happens on a connection before there is a request."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from serving import listening
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

pytest.importorskip("httptools", reason="not on this system")

from cfcontra.serve.web.connections import Connection

SMALL = b"GET / HTTP/1.1\r\nHost: a\r\n"
SHORT = 0.3  # seconds


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    size = 0
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * SHORT)
    elif scope["path"] == "/read":
        more = True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
    await Response(f"ok {size}")(scope, receive, send)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with listening(answer, http=Connection) as found:
        yield found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "most_seconds", SHORT)


def said(port: int, *pieces: bytes, pause: float = 0.0) -> str:
    """All that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for piece in pieces:
            with suppress(OSError):
                connection.sendall(piece)
            time.sleep(pause)
        found = b""
        with suppress(ConnectionResetError):
            while more := connection.recv(1 << 16):
                found += more
    return found.decode()


PADDING = b"X-A: " + b"a" * 1000 + b"\r\n"


@pytest.mark.parametrize(
    "head",
    [
        SMALL + PADDING * 66,
        SMALL + PADDING * 66 + b"\r\n",
        SMALL + b"X-B: " + b"b" * 66_000,
        b"GET /" + b"c" * 66_000,
        b"\r\n" * 33_000,
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\nx\r\n0\r\n" + PADDING * 100,
    ],
    ids=["headers", "complete", "one header", "address", "empty lines", "trailers"],
)
def test_a_head_has_an_end(port: int, head: bytes) -> None:
    # In pieces: what is held of a head is what counts.
    pieces = [head[start : start + 20_000] for start in range(0, len(head), 20_000)]
    found = said(port, *pieces, pause=0.02)
    if b"chunked" in head:  # its answer waits for the body, of which nothing more is read
        assert "200" not in found
    else:
        assert found.startswith("HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert "application/problem+json" in found
        assert '"status": 431' in found


def test_heads_and_bodies_within_the_limit_are_taken(port: int) -> None:
    head = SMALL + PADDING * 60
    assert "200 OK" in said(port, head, b"Connection: close\r\n\r\n", pause=0.02)
    body = b"x" * 1_000_000
    post = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n"
    found = said(port, post + b"\r\n", body, post + b"Connection: close\r\n\r\n", body)
    assert found.count("ok 1000000") == 2


def test_a_head_is_waited_for_only_so_long(port: int, impatient: None) -> None:
    began = time.monotonic()
    assert said(port, SMALL).startswith("HTTP/1.1 408 Request Timeout\r\n")
    assert said(port) == ""
    whole = SMALL + b"\r\n"
    again = said(port, whole, b"GET", pause=0.2)  # what begins after an answer too
    assert "ok 0" in again
    assert "408" in again
    with socket.create_connection(("127.0.0.1", port)) as held, suppress(OSError):
        held.sendall(SMALL)
        while time.monotonic() - began < 30:  # a byte now and then does not help
            held.sendall(b"X")
            time.sleep(0.05)
    assert time.monotonic() - began < 30


def test_an_answer_may_take_longer(port: int, impatient: None) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert "ok 0" in said(port, slow)


def test_nothing_is_upgraded(port: int) -> None:
    asked = SMALL + b"Connection: upgrade, close\r\nUpgrade: websocket\r\n\r\n"
    assert "200 OK" in said(port, asked)
