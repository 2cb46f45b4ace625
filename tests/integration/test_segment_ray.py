"""`cfcontra-segment --ray` on a cluster of this machine: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import psutil
import pytest
from stream_servers import write_recording

from cfcontra.serve.cli import segment

pytest.importorskip("ray", reason="Ray is not installed")

_COMMAND = "import sys; from cfcontra.serve.cli import segment; sys.exit(segment(sys.argv[1:]))"


def times(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


def workers() -> list[psutil.Process]:
    """Ray's workers that have a source, by the title that Ray gives them."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("ray::_segment_one" in part for part in process.info["cmdline"] or ())
    ]


@pytest.mark.timeout(600)
def test_a_cluster_does_what_can_be_done(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_recording(tmp_path / "good.mp4", frames=4)
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    sources = [str(tmp_path / "broken.mp4"), str(tmp_path / "good.mp4")]
    common = [*sources, "--model", str(model_file), "--threads", "2", "--device", "cpu"]
    common += ["--write", "jsonl"]
    assert segment([*common, "--output", str(tmp_path / "alone")]) == 2
    said = capfd.readouterr()
    spread = subprocess.run(
        [sys.executable, "-c", _COMMAND, *common, "--output", f"{tmp_path}/spread", "--ray=local"],
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert spread.returncode == 2, spread.stderr
    assert [path.name for path in (tmp_path / "spread").iterdir()] == ["good-masks.jsonl"]
    ours, theirs = (tmp_path / place / "good-masks.jsonl" for place in ("spread", "alone"))
    assert ours.read_bytes() == theirs.read_bytes()
    assert f"{ours}: 4 frames in" in spread.stdout
    for text in (said.err, spread.stderr):
        assert "1 of 2 videos failed" in text
        assert "broken.mp4: not a readable video" in text.replace("\n", " ")
        assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_cluster_gives_what_one_process_gives(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two good files and a broken one, and the worker of the first is killed in the middle."""
    drives = tmp_path / "drives"
    drives.mkdir()
    write_recording(drives / "long.mp4", frames=600)
    write_recording(drives / "short.mp4", frames=30)
    (drives / "broken.mp4").write_bytes(b"not a video")
    common = [str(drives), "--model", str(model_file), "--threads", "1", "--device", "cpu"]
    common += ["--write", "overlay,jsonl"]
    assert segment([*common, "--output", str(tmp_path / "alone")]) == 2
    alone = capfd.readouterr()

    cluster = ["--ray", "local"]
    killed: list[int] = []

    def kill_the_first() -> None:
        part = tmp_path / "spread" / ".long-segmented.mp4.part"
        deadline = time.monotonic() + 900
        while not (part.exists() and workers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        busy = [
            process
            for process in workers()
            if any(str(part) in file.path for file in process.open_files())
        ]
        for process in busy:
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)

    killer = threading.Thread(target=kill_the_first, daemon=True)
    killer.start()
    spread = subprocess.run(
        [sys.executable, "-c", _COMMAND, *common, "--output", f"{tmp_path / 'spread'}", *cluster],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    killer.join(10)
    assert len(killed) == 1
    assert spread.returncode == 2, spread.stderr
    names = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert len(names) == 4
    assert sorted(path.name for path in (tmp_path / "spread").iterdir()) == names
    for name in names:
        ours, theirs = tmp_path / "spread" / name, tmp_path / "alone" / name
        if name.endswith(".jsonl"):
            assert ours.read_bytes() == theirs.read_bytes()
        else:  # where an encoder starts anew is a matter of time
            assert times(ours) == times(theirs)
    for text in (alone.err, spread.stderr):
        assert "1 of 3 videos failed" in text
        assert "broken.mp4: not a readable video" in text.replace("\n", " ")
    for line in ("long-masks.jsonl: 600 frames", "short-masks.jsonl: 30 frames"):
        assert alone.out.count(line) == 1
        assert spread.stdout.count(line) == 1


@pytest.mark.timeout(300)
def test_no_cluster_is_an_error(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    drive = write_recording(tmp_path / "drive.mp4", frames=3)
    assert segment([str(drive), "--model", str(model_file), "--ray", "127.0.0.1:1"]) == 2
    err = capfd.readouterr().err
    assert "no cluster can be reached" in err
    assert "Traceback" not in err
