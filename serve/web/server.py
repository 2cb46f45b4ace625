"""Serving the page on one address, and nothing else."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.runtime import Backend


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
    backends: dict[Path, Backend], claimed: socket.socket, ready: Callable[[str], None]
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        backends: opened models by their files.
        claimed: what `claim_port` gave.
        ready: called with the page's address once it is there.
    """
    # Before Gradio is imported: it calls home unless told not to.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import uvicorn

    from .app import build_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready(_url(claimed))

    config = uvicorn.Config(build_app(backends), log_level="warning", timeout_graceful_shutdown=2)
    try:
        Server(config).run(sockets=[claimed])
    except KeyboardInterrupt:  # how a server is meant to end
        pass
    finally:
        claimed.close()


def _url(claimed: socket.socket) -> str:
    host, port = claimed.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"
