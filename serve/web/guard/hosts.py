"""Which names the server answers to, and which sites may send to it.

A page of a foreign site can make a visitor's browser call this server. It must not get
through under a name of its own that leads here (DNS rebinding), nor send anything (forgery).
"""

from __future__ import annotations

import ipaddress
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from ..problems import Problem

_READING = ("GET", "HEAD", "OPTIONS")


class Hosts:
    """Refuses foreign names in `Host`, and requests that another site makes a browser send.

    Plain addresses are always answered to: no name can be bent to them.

    Args:
        app: what is guarded.
        names: further names; `*` is any.
    """

    def __init__(self, app: ASGIApp, names: tuple[str, ...]) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._names = {"localhost", own, f"{own}.local", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # nothing here speaks it
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await refusal.response(scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(_name(host)):
            return Problem(
                421,
                "This server is not called by that name. Whoever runs it can allow names with "
                "--allowed-host.",
            )
        origin = headers.get("origin")
        foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
        if headers.get("sec-fetch-site") == "cross-site" or foreign:
            reading = scope["method"] in _READING
            navigating = headers.get("sec-fetch-mode") == "navigate"
            if not reading or not (navigating or origin is None):
                return Problem(403, "Requests from pages of other sites are not taken.")
        return None

    def _knows(self, name: str) -> bool:
        if "*" in self._names or name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _name(host: str) -> str:
    """Without the port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().rstrip(".")
