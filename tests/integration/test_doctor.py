"""`cfcontra-doctor` on this machine, and on machines where something is wrong."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import cfcontra.runtime
from cfcontra.errors import MissingDependencyError
from cfcontra.export import doctor
from cfcontra.runtime import Backend, Prediction, open_backend
from cfcontra.runtime.onnx_backend import OnnxBackend


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the runtime that compiles for a minute."""
    few = {"torch": ".pt", "onnxruntime": ".onnx", "openvino": ".onnx"}
    monkeypatch.setattr(cfcontra.runtime, "RUNTIMES", few)


def test_this_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json", str(tmp_path / "found.json")]) == 0
    content = json.loads((tmp_path / "found.json").read_text())
    states = {finding["name"]: finding["state"] for finding in content["findings"]}
    assert states["torch on cpu"] == states["onnxruntime on cpu"] == "works"
    assert states["encoder libx264"] == "works"
    assert ("cuda:0" in states) == torch.cuda.is_available()
    assert content["versions"]["torch"] == torch.__version__.split("+")[0]
    assert "onnxruntime on cpu" in capsys.readouterr().out


def test_a_runtime_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any, **more: Any) -> None:
        raise MissingDependencyError("it could not start. Install it: pip install 'it[all]'.")

    monkeypatch.setattr(OnnxBackend, "__init__", refuse)
    assert doctor.main([]) == 3
    captured = capsys.readouterr()
    assert "pip install 'it[all]'" in captured.out
    assert "broken: onnxruntime on cpu" in captured.err


def test_a_runtime_that_answers_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = OnnxBackend._run

    def mirrored(self: OnnxBackend, frames: np.ndarray[Any, Any]) -> Prediction:
        found = honest(self, frames)
        return Prediction(found.mask[:, :, ::-1], found.confidence)

    monkeypatch.setattr(OnnxBackend, "_run", mirrored)
    found = {finding.name: finding for finding in doctor.runtimes()}
    broken = found["onnxruntime on cpu"]
    assert broken.state == "broken" and "answers differently" in broken.said
    assert broken.fix.startswith("pip install --force-reinstall onnxruntime")
    assert found["torch on cpu"].state == "works"


def test_a_library_that_fails_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Backend, frames: object) -> Prediction:
        raise RuntimeError("libfoo.so.7: undefined symbol\nsecond line")

    monkeypatch.setattr(OnnxBackend, "_run", fail)
    found = {finding.name: finding for finding in doctor.runtimes()}
    assert found["onnxruntime on cpu"].said == "fails: libfoo.so.7: undefined symbol"


def test_packages_that_overwrite_each_other() -> None:
    installed = {"opencv-python": "5", "opencv-python-headless": "5"}
    (found,) = doctor.conflicts(installed)
    assert found.state == "broken" and found.fix.endswith("pip install opencv-python")
    assert doctor.conflicts({"opencv-python": "5", "onnxruntime": "1.31"}) == []


def test_a_required_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    assert doctor.main([]) == 3
    captured = capsys.readouterr()
    line = next(line for line in captured.out.splitlines() if line.startswith("broken"))
    assert line.split()[1].startswith("onnxruntime") and line.endswith("not installed")
    assert f"→ pip install {line.split()[1]}" in captured.out


@pytest.mark.parametrize(
    ("module", "content", "says", "fix"),
    [
        (
            "cv2",
            "raise ImportError('libGL.so.1: cannot open shared object file')",
            "libGL.so.1: cannot open shared object file",
            "apt-get install libgl1",
        ),
        (
            "onnxruntime",
            "raise RuntimeError('bad build\\nmore')",
            "does not load: bad build\n",
            "pip install --force-reinstall onnxruntime",
        ),
        ("onnxruntime", None, "its files are gone\n", "pip install --force-reinstall onnxruntime"),
    ],
)
def test_a_required_package_that_does_not_load(
    tmp_path: Path, module: str, content: str | None, says: str, fix: str
) -> None:
    (tmp_path / module).mkdir()
    if content is not None:
        (tmp_path / module / "__init__.py").write_text(content)
    # A process of its own, because what is loaded here stays. A folder without files gives way to
    # any other of its name, so that the path is cut down to it for its module.
    code = (
        "import sys, importlib.machinery as m\n"
        f"found = m.PathFinder.find_spec({module!r}, [{str(tmp_path)!r}])\n"
        "class First:\n"
        "    @staticmethod\n"
        "    def find_spec(name, path=None, target=None):\n"
        f"        return found if name == {module!r} else None\n"
        "sys.meta_path.insert(0, First)\n"
        "from cfcontra.export import doctor, doctor_packages as packages\n"
        f"packages._REQUIRED = {{{module!r}: packages._REQUIRED[{module!r}]}}\n"
        "sys.exit(doctor.main([]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 3, run.stderr
    assert says in run.stdout and f"→ {fix}" in run.stdout and "Traceback" not in run.stderr


def test_torch_and_torchvision_that_do_not_go_together(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["numpy", "torch==2.14.1", "gdown>=4; extra == 'gdown'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    (found,) = doctor.conflicts({"torch": "2.13.0", "torchvision": "0.29.1"})
    assert found.state == "broken" and found.fix == "pip install --upgrade torch torchvision"
    assert found.said == "torchvision 0.29.1 needs torch==2.14.1, and 2.13.0 is installed"
    assert doctor.conflicts({"torch": "2.14.1+cu130", "torchvision": "0.29.1"}) == []


@pytest.mark.parametrize(
    ("installed", "said", "fix"),
    [
        (
            "onnxruntime-gpu",
            "onnxruntime-gpu is built for CUDA 12.9",
            "pip install 'onnxruntime-gpu[cuda,cudnn]'",
        ),
        (
            "tensorrt-cu12",
            "tensorrt-cu12 is built for CUDA 12,",
            "pip uninstall -y tensorrt tensorrt-cu12 && pip install tensorrt-cu13",
        ),
        ("tensorrt-cu13", "", ""),
    ],
)
def test_cuda_versions_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch, installed: str, said: str, fix: str
) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "12.9", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    found = doctor.conflicts({installed: "1"})
    assert [(finding.name, finding.fix) for finding in found] == (
        [("CUDA versions", fix)] if said else []
    )
    assert all(said in finding.said and "torch for 13.0" in finding.said for finding in found)


def test_operators_that_a_gpu_leaves_to_the_cpu_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.make_tiny(tmp_path)
    path = tmp_path / "model.onnx"
    opened = open_backend(path, "cpu", 1)  # all of its operators run on the CPU
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *given: opened)
    found = doctor._try("onnxruntime", "cuda", path, opened.predict)
    assert found.state == "works" and "operators on whole frames run on the CPU: " in found.said
    assert "run on the CPU" not in doctor._try("onnxruntime", "cpu", path, opened.predict).said


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize(
    ("cuda", "says"), [(None, "its CPU build"), ("13.2", "driver is missing or too old")]
)
def test_a_gpu_that_torch_cannot_use(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, says: str
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    (found,) = [finding for finding in doctor.devices() if finding.name == "cuda"]
    assert found.state == "broken" and says in found.said and found.fix


def test_a_file_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "found.json"
    path.write_text("{}")
    assert doctor.main(["--json", str(path)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.read_text() == "{}"
