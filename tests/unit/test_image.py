"""What the image runs by itself, tried without a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh")

DOCKERFILE = (Path(__file__).parents[2] / "Dockerfile").read_text(encoding="utf-8")
WAITS = """\
import sys, time
from cfcontra.command import run_command

def wait(_):
    print("begun", flush=True)
    time.sleep(60)

sys.exit(run_command(wait, []))
"""


def instruction(name: str) -> str:
    """The arguments of the last of that name, on one line."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.*)$", joined, re.MULTILINE)[-1]


def environment(folder: Path, **commands: str) -> dict[str, str]:
    """With Python programs as commands, and no others of the package."""
    for name, text in commands.items():
        file = folder / f"cfcontra-{name}"
        file.write_text(f"#!{sys.executable}\n{text}")
        file.chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return {**os.environ, "PATH": f"{folder}:{os.defpath}"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_start_can_be_stopped(tmp_path: Path, number: signal.Signals) -> None:
    container = subprocess.Popen(
        json.loads(instruction("CMD")),
        cwd=tmp_path,
        env=environment(tmp_path, quickstart=WAITS, demo="raise SystemExit(7)"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert container.stdout is not None
    assert container.stdout.readline() == "begun\n"
    container.send_signal(number)  # to it alone, as a container's first process gets it
    _, errors = container.communicate(timeout=60)
    assert container.returncode == 130
    assert "interrupted" in errors


@pytest.mark.parametrize(
    ("quickstart", "expected"),
    [("", 7), ("raise SystemExit(3)", 3)],
    ids=["works", "fails"],
)
def test_the_demo_follows_a_quickstart_that_worked(
    tmp_path: Path, quickstart: str, expected: int
) -> None:
    commands = environment(tmp_path, quickstart=quickstart, demo="raise SystemExit(7)")
    command = json.loads(instruction("CMD"))
    done = subprocess.run(command, cwd=tmp_path, env=commands, timeout=60, check=False)
    assert done.returncode == expected


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        ("/opt/venv/bin/python|/opt/venv/bin/cfcontra-segment|drive.mp4", 0),
        ("/opt/venv/bin/python|/opt/venv/bin/cfcontra-demo|--host|0.0.0.0", 1),
        ("/opt/venv/bin/python|/opt/venv/bin/cfcontra|demo|--host|0.0.0.0", 1),
        ("|".join(json.loads(instruction("CMD"))), 1),
    ],
    ids=["segment", "demo", "cfcontra demo", "quickstart first"],
)
def test_only_the_demo_is_asked_how_it_is(tmp_path: Path, running: str, expected: int) -> None:
    (tmp_path / "cmdline").write_bytes(running.replace("|", "\0").encode())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # where nothing answers afterwards
    check = instruction("HEALTHCHECK").partition("CMD ")[2]
    check = check.replace("/proc/1/cmdline", "cmdline").replace(":7860/", f":{port}/")
    done = subprocess.run(
        ["sh", "-c", check],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expected, done.stderr
