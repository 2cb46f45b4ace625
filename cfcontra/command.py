"""What all commands share: common arguments, logging, and errors as one line."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from cfcontra import __version__
from cfcontra.errors import CfcontraError
from cfcontra.files import describe_os_error

INTERRUPTED = 130
_ENDS = (signal.SIGTERM, signal.SIGHUP)

console = Console(highlight=False)
"""Results go to standard output."""
notes = Console(stderr=True, highlight=False)
"""Progress, notes and errors go to standard error."""


class Parser(argparse.ArgumentParser):
    """An argument parser with the arguments that every command takes."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=f"cfcontra-{name}", description=description, allow_abbrev=False)
        self.add_argument("--version", action="version", version=f"cfcontra {__version__}")
        self.add_argument("--quiet", action="store_true", help="print results and errors only")
        self.add_argument("-v", "--verbose", action="store_true", help="print more")

    def add_device(self) -> None:
        """`--device` and `--threads`."""
        self.add_argument(
            "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)"
        )
        self.add_argument("--threads", type=int, help="CPU threads (default: one per core)")

    def add_runtime(self) -> None:
        """`--runtime`."""
        from cfcontra.runtime import RUNTIMES

        self.add_argument(
            "--runtime",
            choices=["auto", *RUNTIMES],
            default="auto",
            help="what runs the model (default: by the file)",
        )

    def add_overwrite(self, group: argparse._ArgumentGroup | None = None) -> None:
        """`--overwrite`, in a group of arguments or among all."""
        (group or self).add_argument(
            "--overwrite", action="store_true", help="replace what is at the output place"
        )


def read_size(text: str) -> tuple[int, int] | None:
    """The two numbers of `HEIGHTxWIDTH` or `WIDTHxHEIGHT` in pixels; None of another form."""
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    return (int(match[1]), int(match[2])) if match else None


def run_command(main: Callable[[list[str]], None], argv: list[str] | None = None) -> int:
    """Run a command's body and turn what it raises into an exit status.

    SIGTERM and SIGHUP, which service managers, `docker stop` and closed terminals send, end it
    as Ctrl-C does: nothing is left half-written.

    Returns:
        0 done, 2 bad input, 3 a check failed, 130 interrupted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with _ends_are_interrupts():
            main(arguments)
    except CfcontraError as error:
        notes.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        notes.print("interrupted", style="yellow")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        path = Path(str(error.filename)) if error.filename else Path()
        notes.print(f"error: {describe_os_error(error, path)}", style="red", markup=False)
        return 2
    return 0


@contextmanager
def _ends_are_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unhandled = [n for n in _ENDS if signal.getsignal(n) is signal.SIG_DFL]  # `nohup` ignores one
    for number in unhandled:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)


def set_up_logging(arguments: argparse.Namespace) -> None:
    """Route the package's log records to standard error at the level asked for."""
    level = logging.INFO
    if arguments.quiet:
        level = logging.ERROR
    elif arguments.verbose:
        level = logging.DEBUG
    logger = logging.getLogger("cfcontra")
    logger.setLevel(level)
    logger.handlers = [RichHandler(console=notes, show_path=False, show_time=False, markup=False)]
    logger.propagate = False
