"""Fetching a picture that a visitor names by its URL, without becoming the visitor's hand.

A URL may lead to what only this server can reach: itself, its neighbours, a cloud's metadata
service. So every connection, those of redirects too, is made to an address that has been checked,
and not to a name that could mean another address by then (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from .problems import Problem

_SECONDS = 15.0
_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
# These carry IPv4 addresses inside, of any kind.
_TUNNELS = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "2001::/32")]


async def fetch(url: str, max_bytes: int) -> bytes:
    """The content at a public `http` or `https` address.

    Args:
        url: as the visitor gave it.
        max_bytes: more is refused.

    Raises:
        Problem: 422 an address that is not allowed, 413 too large, 502 no answer, 504 too slow.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            return await _follow(url, max_bytes)
    except TimeoutError:
        raise Problem(504, f"The picture's server took more than {_SECONDS:g} s.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError):
        raise Problem(502, "The picture's server does not answer.") from None


async def _follow(url: str, max_bytes: int) -> bytes:
    async with httpcore.AsyncConnectionPool(network_backend=_CheckedNetwork()) as pool:
        here = ""
        for _ in range(_REDIRECTS + 1):
            here = _allowed(url, here)
            found = await _get(pool, here, max_bytes)
            if isinstance(found, bytes):
                return found
            url = found
    raise Problem(422, f"The URL leads on more than {_REDIRECTS} times.")


async def _get(pool: httpcore.AsyncConnectionPool, url: str, max_bytes: int) -> bytes | str:
    """The content, or the address it has moved to."""
    headers: dict[bytes | str, bytes | str] = {
        "User-Agent": "cfcontra",
        "Accept": "image/*",
        "Accept-Encoding": "identity",
    }
    timeout = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)}
    async with pool.stream("GET", url, headers=headers, extensions=timeout) as response:
        location = {name.lower(): value for name, value in response.headers}.get(b"location")
        if response.status in (301, 302, 303, 307, 308) and location is not None:
            return location.decode("ascii", "replace")
        if response.status != 200:
            raise Problem(502, f"The picture's server answers {response.status}.")
        content = bytearray()
        async for chunk in response.aiter_stream():
            content += chunk
            if len(content) > max_bytes:
                raise Problem(413, f"Up to {max_bytes / 1e6:g} MB are taken here.")
        return bytes(content)


def _allowed(url: str, base: str) -> str:
    """The URL, relative to where it was found, if it may be fetched."""
    try:
        url = urljoin(base, url)
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Problem(422, "This is no URL.") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Problem(422, "Pictures are fetched by http and https only.")
    if parts.username is not None or parts.password is not None:
        raise Problem(422, "URLs with a user's name are not taken.")
    if port not in (None, *_PORTS.values()):
        raise Problem(422, "Pictures are fetched from ports 80 and 443 only.")
    if not url.isascii() or not url.isprintable():
        raise Problem(422, "Write the URL in plain ASCII.")
    return url


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open Internet."""
    found: Any = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped is not None:
        found = mapped
    if any(found.version == net.version and found in net for net in _TUNNELS):
        return False
    return bool(found.is_global) and not found.is_multicast and not found.is_reserved


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses only: resolves a name once, checks, and uses what it checked."""

    def __init__(self) -> None:
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Problem(422, "The URL's host is not known.") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(is_public(address) for address in addresses):
            raise Problem(422, "The URL leads into a private network.")
        return await self._network.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(self, *arguments: Any, **more: Any) -> Any:
        raise Problem(422, "The URL leads into a private network.")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)
