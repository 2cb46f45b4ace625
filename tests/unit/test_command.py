from __future__ import annotations

import errno
import signal
import sys

import pytest

from cfcontra import __version__, cli
from cfcontra.command import run_command
from cfcontra.errors import CheckFailedError, InputError


def _raise(error: BaseException) -> int:
    def body(_: list[str]) -> None:
        raise error

    return run_command(body, [])


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("what, where, what to do"), 2, "what, where, what to do"),
        (CheckFailedError("differs"), 3, "differs"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "x.bin"), 2, "x.bin: no space left"),
        (OSError(errno.EACCES, "Permission denied", "x.bin"), 2, "x.bin: cannot be written"),
    ],
)
def test_errors_become_a_line_and_a_status(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _raise(error) == status
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_is_an_interrupt(number: signal.Signals) -> None:
    left = []

    def body(_: list[str]) -> None:
        try:
            signal.raise_signal(number)
        finally:
            left.append(number)

    assert run_command(body, []) == 130
    assert left == [number]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_bugs_stay_loud() -> None:
    with pytest.raises(ZeroDivisionError):
        _raise(ZeroDivisionError())


def _umbrella(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cfcontra", *arguments])
    return cli.main()


def test_umbrella(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _umbrella(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.strip() == f"cfcontra {__version__}"
    assert _umbrella(monkeypatch) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in cli.COMMANDS)
    assert _umbrella(monkeypatch, "trian") == 2
    assert "Did you mean 'train'" in capsys.readouterr().err
    assert _umbrella(monkeypatch, "eval", "nothing.pt", "--data", "streets:noon", "--quiet") == 2
    assert "nothing.pt: no such file" in capsys.readouterr().err


def test_every_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name, (target, _) in cli.COMMANDS.items():
        entry = cli.load_entry_point(target)
        assert callable(entry)
        with pytest.raises(SystemExit) as stopped:
            entry(["--help"])
        assert stopped.value.code == 0
        assert f"cfcontra-{name}" in capsys.readouterr().out
