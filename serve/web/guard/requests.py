"""Each request's id, its line in the log, its place in the metrics, and its last resort."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..log import REQUESTS
from ..metrics import Metrics
from ..problems import Problem

_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
# Who has a job's id, a visit's or an upload's name needs nothing else to get at it.
_KEY = re.compile(r"(/(?:jobs|heartbeat)/[^/]{6})[^/]+|(/file=).+", re.DOTALL)


class Requests:
    """Sees a request first and its answer last.

    Takes `X-Request-ID` from the caller or makes one, gives it back, and writes it to the log.
    What no other code has caught becomes a 500 without a word of why; the log has the trace.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        name = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name
        status, size, complete = 0, 0, False
        started = time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status, size, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = name
            elif message["type"] == "http.response.body":
                size += len(message.get("body", b""))
                complete = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except ClientDisconnect:  # while sending; what was answered then, nobody got
            status = 499
        except Exception:
            REQUESTS.exception("unexpected error", extra={"request_id": name})
            if status and not complete:  # too late to say so: the broken connection does
                raise
            if not status:
                problem = Problem(500, "Something went wrong in the server.")
                await problem.response(scope)(scope, receive, seen)
        finally:
            self._record(scope, name, status, size, time.perf_counter() - started)

    def _record(self, scope: Scope, name: str, status: int, size: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "other"
        route = scope["state"].get("part", route)
        self._metrics.request(route, scope["method"], status, seconds)
        client = scope.get("client")
        REQUESTS.log(
            logging.INFO if route != "page" else logging.DEBUG,
            "request",
            extra={
                "request_id": name,
                "method": scope["method"],
                "path": _KEY.sub(lambda found: f"{found[1] or found[2]}…", scope["path"]),
                "status": status or 499,
                "seconds": round(seconds, 4),
                "bytes": size,
                "client": client[0] if client else None,
                **scope["state"].get("log", {}),
            },
        )
