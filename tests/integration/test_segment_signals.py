"""Signals at random moments of real processes: they end, and what they leave plays."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from video_clips import make_clip, sound_of, times_of

pytestmark = pytest.mark.timeout(300)
FRAMES = 80
SECONDS = 1.2  # about what one run takes

# Loads everything once, then forks a process for every job: no time goes into imports, and no
# thread has run yet that a fork would lose.
FORKS = f"""
import json, os, select, signal, sys, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
import cfcontra.runtime
from cfcontra.serve.cli import segment
from cfcontra.serve.video import checkpoint, segment as _, sources, outputs, job, work
from video_clips import GreyBackend
class Slow(GreyBackend):
    def _run(self, frames):
        time.sleep(0.01)
        return super()._run(frames)
checkpoint.FRAMES, checkpoint.SECONDS = 8, 0.0
def begin(*_, **__):
    os.write(begun[1], b".")
    return Slow()
cfcontra.runtime.open_backend = begin
print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    sys.stdout.flush()
    begun = os.pipe()
    os.set_blocking(begun[0], False)
    child = os.fork()
    if not child:
        os.dup2(os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        os.dup2(2, 1)
        code = segment(job["arguments"])
        sys.stdout.flush()
        os._exit(code)
    started, moment, sent = time.monotonic(), None, False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        now = time.monotonic()
        if moment is None and select.select([begun[0]], [], [], 0)[0]:
            moment = now + job["after"]
        if moment is not None and not sent and job["signal"] and now >= moment:
            os.kill(child, job["signal"])
            sent = True
        if now - started > 60:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            status = None
            break
        time.sleep(0.002)
    os.close(begun[0])
    os.close(begun[1])
    print(json.dumps(None if status is None else os.waitstatus_to_exitcode(status)), flush=True)
"""


class Forks:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._answer("ready\n")

    def _answer(self, expected: str | None = None) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line and expected in (None, line)
        return line

    def __call__(
        self, arguments: list[str], log: Path, after: float = 0.0, number: int = 0
    ) -> int | None:
        """The exit status of a run that gets a signal some seconds after it has read its arguments
        and opened its model; None if it hung."""
        job = {"arguments": arguments, "log": str(log), "after": after, "signal": number}
        assert self._process.stdin is not None
        print(json.dumps(job), file=self._process.stdin, flush=True)
        answer: Any = json.loads(self._answer())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drive") / "drive.mp4"
    return make_clip(path, times=[1001 * n for n in range(FRAMES)], audio="aac", size=(160, 96))


MANY = pytest.mark.slow


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=MANY)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_a_playable_file_or_none(
    forks: Forks, drive: Path, tmp_path: Path, number: signal.Signals, rounds: int
) -> None:
    moments = random.Random(number)
    lengths = []
    for turn in range(rounds):
        folder = tmp_path / str(turn)
        folder.mkdir()
        output, log = folder / "out.mp4", tmp_path / "log"
        arguments = [str(drive), "--model", "m.onnx", "--output", str(output), "--threads", "1"]
        status = forks(arguments, log, moments.uniform(0.0, SECONDS), number)
        said = log.read_text()
        assert status in (0, 130), said
        assert "Traceback" not in said
        names = {path.name for path in folder.iterdir()}
        assert names <= {"out.mp4", ".out.mp4.part"}, said
        if status == 0:
            assert names == {"out.mp4"}
        if output.exists():
            found = times_of(output)
            lengths.append(len(found))
            assert found == times_of(drive)[: len(found)]
            assert len(found) == FRAMES or status == 130
        assert forks([*arguments, "--resume"], log) == 0, log.read_text()
        assert_whole(output, drive)
    assert lengths


@pytest.mark.parametrize("rounds", [4, pytest.param(40, marks=MANY)])
def test_a_killed_run_is_gone_on_from_whatever_it_was_doing(
    forks: Forks, drive: Path, tmp_path: Path, rounds: int
) -> None:
    moments = random.Random(0)
    for turn in range(rounds):
        folder = tmp_path / str(turn)
        folder.mkdir()
        output, log = folder / "out.mp4", tmp_path / "log"
        arguments = [str(drive), "--model", "m.onnx", "--output", str(output), "--threads", "1"]
        arguments += ["--resume"]
        for _ in range(2):  # killed, gone on, killed again
            status = forks(arguments, log, moments.uniform(0.0, SECONDS), signal.SIGKILL)
            assert status in (0, -signal.SIGKILL), log.read_text()
            assert output.exists() or status != 0
            if output.exists():  # its name is given to a whole file alone
                assert_whole(output, drive)
        assert forks(arguments, log) == 0, log.read_text()
        assert_whole(output, drive)
        assert [path.name for path in folder.iterdir()] == ["out.mp4"]


def assert_whole(output: Path, drive: Path) -> None:
    assert times_of(output) == times_of(drive)
    sound = [data for _, data in sound_of(output)]
    assert sound == [data for _, data in sound_of(drive)][: len(sound)]
    assert len(sound) > 100
    with av.open(str(output)) as container:
        assert container.duration
