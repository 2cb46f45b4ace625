"""Serving the page on one address, and nothing else."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from asyncio import Protocol
from collections.abc import Callable
from importlib.util import find_spec

from cfcontra.errors import InputError

from .models import Models
from .scratch import Scratch
from .settings import Settings
from .state import ServerState


def claim_port(host: str, port: int) -> socket.socket:
    """Bind the address before models are loaded for it.

    Raises:
        InputError: the port is taken or not allowed, or the host is not one of this machine.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"--port {port}: give 0 (any free one) to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InputError(f"--host {host}: not an address ({error.strerror}).") from error
    claimed = socket.socket(family, kind, protocol)
    claimed.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        claimed.bind(address)
        claimed.listen()
    except OSError as error:
        claimed.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"Port {port} is taken by another program. Choose another with --port."
            ) from error
        if error.errno == errno.EACCES:
            raise InputError(f"--port {port}: not allowed. Take one above 1023.") from error
        raise InputError(
            f"--host {host}: cannot be bound here ({error.strerror}). Use 127.0.0.1 for this "
            "machine only, or 0.0.0.0 for all its addresses."
        ) from error
    return claimed


def serve(
    models: Models, settings: Settings, claimed: socket.socket, ready: Callable[[str], None]
) -> None:
    """Serve page and REST until Ctrl-C.

    Args:
        models: what to serve.
        settings: limits and access.
        claimed: what `claim_port` gave.
        ready: called with the page's address once it is there.
    """
    scratch = Scratch(settings.scratch)
    state = ServerState.open(models, settings, scratch)
    # Before Gradio is imported: it calls home unless told not to, and keeps uploads where
    # others may look.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(scratch.folder("page"))
    tempfile.tempdir = str(scratch.folder("spool"))
    import uvicorn

    from .app import build_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready(_url(claimed))

    config = uvicorn.Config(
        build_app(state),
        http=_protocol(),
        ws="none",
        log_level="warning",
        timeout_graceful_shutdown=2,
        server_header=False,
    )
    try:
        Server(config).run(sockets=[claimed])
    except KeyboardInterrupt:  # how a server is meant to end
        pass
    finally:
        claimed.close()
        state.close()
        tempfile.tempdir = None


def _protocol() -> type[Protocol] | str:
    if find_spec("httptools") is None:  # as on Windows: h11 bounds a head by itself
        return "h11"
    from .connections import Connection

    return Connection


def _url(claimed: socket.socket) -> str:
    host, port = claimed.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"
