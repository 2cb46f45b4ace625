"""Arguments of `cfcontra-segment` for live sources, watching, and what comes after."""

from __future__ import annotations

import argparse
from pathlib import Path

from cfcontra.command import Parser

from .segment_extras import BUDGET

PREVIEW_PORT = 8090


def add_live_arguments(parser: Parser) -> None:
    """Add them."""
    group = parser.add_argument_group("watching and live sources")
    group.add_argument(
        "--show", action="store_true", help="show the overlay in a window as it comes"
    )
    group.add_argument(
        "--preview",
        nargs="?",
        type=_port,
        const=PREVIEW_PORT,
        metavar="PORT",
        help=f"show it in a browser of this machine (default port: {PREVIEW_PORT})",
    )
    group.add_argument(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="stop each source after so much of it",
    )
    masks = parser.add_argument_group("masks")
    masks.add_argument(
        "--smooth",
        action="store_true",
        help="hold masks steady over time, moving with the picture; says how much they flickered",
    )
    lost = parser.add_argument_group("where the model is lost")
    lost.add_argument(
        "--hard-frames",
        type=Path,
        metavar="DIR",
        help="keep the frames that the model is least sure of, each different from the others: the "
        "next cfcontra-adapt --target folder:DIR",
    )
    lost.add_argument(
        "--budget",
        type=int,
        metavar="K",
        help=f"how many of them, over all sources (default: {BUDGET})",
    )
    many = parser.add_argument_group("many machines")
    many.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread the sources over a Ray cluster: auto, HOST:PORT, ray://HOST:PORT, or "
        "local for one on this machine",
    )


def _port(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f"'{text}' is no port. Name one, or put --preview behind the sources."
        )
    return int(text)
