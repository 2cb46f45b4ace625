"""Pictures by URL: only from the open Internet, whatever the URL says."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from serving import noise, png, running

from cfcontra.serve.web import fetching
from cfcontra.serve.web.fetching import fetch, is_public
from cfcontra.serve.web.problems import Problem
from cfcontra.serve.web.settings import Settings


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "ff02::1",
    ],
)
def test_private_addresses_are_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1"])
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


def refusal(url: str, max_bytes: int = 10_000) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(fetch(url, max_bytes))
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "gopher://example.com",
        "data:image/png;base64,AAAA",
        "http://",
        "http://[",
        "//example.com/a.png",
        "http://user:word@example.com/",
        "http://example.com:22/",
        "http://example.com:99999/",
        "http://ex\u00e4mple.com/",
        "http://example.com/\r\nX: y",
        "http://127.0.0.1/",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
    ],
)
def test_what_leads_inside_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(*_: Any, **__: Any) -> Any:
        raise AssertionError("it must not connect")

    monkeypatch.setattr(fetching.httpcore.AnyIOBackend, "connect_tcp", connect)
    assert refusal(url).status == 422


class Pictures(BaseHTTPRequestHandler):
    """A picture, one that is too large, and ways that lead elsewhere."""

    def do_GET(self) -> None:
        moved = {
            "/inside": "http://10.0.0.1/",
            "/file": "file:///etc/passwd",
            "/round": "/round",
            "/broken": "http://[broken",
        }
        if self.path in moved or self.path == "/moved":
            self.send_response(302)
            self.send_header("LOCATION", moved.get(self.path, "/picture"))
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(b"x" * 20_000 if self.path == "/large" else png(noise(8, 8)))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A host, pictures.example, at a public address that is really here; yields connections."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    Thread(target=served.serve_forever, daemon=True).start()
    plain_lookup = socket.getaddrinfo
    plain_connect = fetching.httpcore.AnyIOBackend.connect_tcp
    connected: list[str] = []

    def lookup(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host == "pictures.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]
        if host == "mixed.example":
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("93.184.215.14", "10.0.0.1")
            ]
        return plain_lookup(host, port, *more, **named)

    async def connect(self: Any, host: str, port: int, *more: Any, **named: Any) -> Any:
        connected.append(host)
        assert host == "93.184.215.14"
        return await plain_connect(self, "127.0.0.1", served.server_port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(fetching.httpcore.AnyIOBackend, "connect_tcp", connect)
    yield connected
    served.shutdown()
    served.server_close()


def test_a_public_picture_comes_by_the_checked_address(internet: list[str]) -> None:
    found = asyncio.run(fetch("http://pictures.example/picture", 10_000))
    assert found == png(noise(8, 8))
    assert internet == ["93.184.215.14"]  # the address that was checked, and no name
    assert asyncio.run(fetch("http://pictures.example/moved", 10_000)) == found


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://pictures.example/inside", 422),
        ("http://pictures.example/file", 422),
        ("http://pictures.example/round", 422),
        ("http://pictures.example/broken", 422),
        ("http://pictures.example/large", 413),
        ("http://pictures.example/none", 502),
        ("http://mixed.example/picture", 422),
    ],
)
def test_redirects_and_sizes_are_checked_too(internet: list[str], url: str, status: int) -> None:
    assert refusal(url).status == status
    assert set(internet) <= {"93.184.215.14"}


def test_the_interface_fetches_only_if_it_may(internet: list[str], tmp_path: Path) -> None:
    body = {"url": "http://pictures.example/picture"}
    with running(tmp_path / "a") as server:
        assert server.client.post("/v1/segment", json=body).status_code == 415
    assert internet == []
    with running(tmp_path / "b", Settings(allow_urls=True)) as server:
        assert server.client.post("/v1/segment", json=body).json()["width"] == 8
        for odd in ({"url": 3}, [], {"url": "http://127.0.0.1/"}):
            assert server.client.post("/v1/segment", json=odd).status_code == 422
        broken = {"content": b"{", "headers": {"Content-Type": "application/json"}}
        assert server.client.post("/v1/segment", **broken).status_code == 400
