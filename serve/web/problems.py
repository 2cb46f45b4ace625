"""Errors as RFC 9457 says: `application/problem+json`, and never a trace of the program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response
from starlette.types import Scope

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the name the standard gives it
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        detail: what was wrong and what to do, for people.
        headers: of the answer.
        more: further members of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more

    def members(self, request_id: str | None = None) -> dict[str, Any]:
        """The answer's content."""
        members: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if request_id is not None:
            members["request_id"] = request_id
        return {**members, **self.more}

    def response(self, scope: Scope) -> Response:
        """The answer to the request of that scope."""
        members = self.members(scope.get("state", {}).get("request_id"))
        content = json.dumps(members, ensure_ascii=False)
        return Response(content, self.status, dict(self.headers or {}), MEDIA_TYPE)


def busy(detail: str, seconds: int = 1) -> Problem:
    """429: come again in some seconds."""
    return Problem(429, f"{detail}; try again in {seconds} s.", {"Retry-After": str(seconds)})
