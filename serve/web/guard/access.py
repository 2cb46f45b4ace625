"""Who may come in: a token or a password, for page and REST alike."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from cfcontra.errors import InputError, system_reason

from ..problems import Problem

VARIABLE = "CFCONTRA_AUTH"
_OPEN = ("/health", "/ready")


class Access:
    """Lets in who knows a secret; everybody, where there is none.

    A secret is a `TOKEN`, for `Authorization: Bearer` (a browser gives it as the
    password, with any name), or `USER:PASSWORD`, for `Authorization: Basic`. All
    are compared, each in constant time, whatever was given.
    """

    def __init__(self, app: ASGIApp, secrets: tuple[str, ...]) -> None:
        self._app = app
        self._secrets = [_digest(secret) for secret in secrets]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._may_enter(scope):
            await self._app(scope, receive, send)
            return
        refusal = Problem(401, "This server asks for a token or a password.").response(scope)
        # A line each: of several challenges in one line Chromium takes none.
        for challenge in ('Basic realm="cfcontra", charset="UTF-8"', "Bearer"):
            refusal.headers.append("WWW-Authenticate", challenge)
        await refusal(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        if not self._secrets or scope["path"] in _OPEN:
            return True
        given = _given(Headers(scope=scope).get("authorization", ""))
        matches = [
            hmac.compare_digest(_digest(candidate), secret)
            for candidate in given
            for secret in self._secrets
        ]
        return any(matches)


def _given(header: str) -> list[str]:
    """The secrets a header may stand for."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        # A colon would make the secret of a user out of a token.
        return [value.strip()] if ":" not in value else []
    if scheme.lower() != "basic":
        return []
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return []
    password = pair.partition(":")[2]
    return [pair] + ([password] if ":" not in password else [])


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8")).digest()


def read_secrets(file: Path | None, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Secrets of a file and of the environment, one a line; never of the command line.

    Raises:
        InputError: the file cannot be read, is open to other users, or holds none.
    """
    lines = environment.get(VARIABLE, "").splitlines()
    if file is not None:
        try:
            if stat.S_IMODE(file.stat().st_mode) & stat.S_IWOTH:
                raise InputError(f"{file}: every user may write to it. Run chmod 600 on it.")
            lines += file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: cannot be read ({system_reason(error)}).") from error
    secrets = tuple(
        line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")
    )
    if file is not None and not secrets:
        raise InputError(f"{file}: holds no secret. Write a TOKEN or USER:PASSWORD on a line.")
    for number, secret in enumerate(secrets, start=1):
        if len(secret.rpartition(":")[2]) < 8:
            raise InputError(
                f"Secret {number} is shorter than 8 characters. Make one with: "
                "python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )
    return secrets
