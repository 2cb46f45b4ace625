"""The house's rules that can be read from its files: layers, light imports, packaging."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OUTER = ("train", "export", "serve")
FOLDERS = ("cfcontra", *OUTER)
HEAVY = {"torch", "torchvision", "lightning", "gradio", "tensorrt", "onnxruntime", "cv2", "av"}


def _sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in OUTER:
        parts = ("cfcontra", *parts)
    return ".".join(parts)


def _imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything that a file imports, at whatever depth of its code."""
    package = _module_name(path).split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _is_inside(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _layer_faults(path: Path) -> list[str]:
    own = path.relative_to(ROOT).parts[0]
    forbidden = [f"cfcontra.{outer}" for outer in OUTER if outer != own]
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for line, module in _imported_modules(path)
        if any(_is_inside(module, package) for package in forbidden)
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_layer_imports_outward_or_sideways(folder: str) -> None:
    sources = _sources(folder)
    assert sources
    assert [fault for path in sources for fault in _layer_faults(path)] == []


@pytest.mark.parametrize("folder", OUTER)
def test_outer_layers_import_themselves_relatively(folder: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _sources(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.level == 0
        and _is_inside(node.module or "", f"cfcontra.{folder}")
    ]
    assert faults == []


def test_nothing_imports_a_second_copy_from_the_repository_root() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in _sources(*FOLDERS, "tests", "benchmarks")
        for line, module in _imported_modules(path)
        if module.split(".")[0] in OUTER
    ]
    assert faults == []


def test_the_layer_rule_sees_what_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oracle: every spelling of a forbidden import, and some that are allowed."""
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "serve" / "video" / "job.py"
    path.parent.mkdir(parents=True)
    for forbidden in (
        "import cfcontra.train",
        "from cfcontra.export.graph import build",
        "from cfcontra import train",
        "from ...train import cli",
        "from ... import export",
        "def f():\n    from cfcontra.train.cli import train",
    ):
        path.write_text(forbidden)
        assert _layer_faults(path), forbidden
    for allowed in (
        "from cfcontra.checkpoint import train_record",
        "from ..web import app",
        "from . import reader",
        "import cfcontra.training",
        "from pathlib import Path",
    ):
        path.write_text(allowed)
        assert _layer_faults(path) == [], allowed


def _loaded_by(code: str) -> set[str]:
    """Top-level modules in a fresh process after some code."""
    code += "\nimport sys\nsys.stderr.write(' '.join({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "tests"
    )
    return set(result.stderr.split())


@pytest.mark.parametrize(
    "code",
    [
        "import cfcontra",
        "import sys; sys.argv = ['cfcontra', '--help']; from cfcontra.cli import main; main()",
        "import sys; sys.argv = ['cfcontra', '--version']; from cfcontra.cli import main; main()",
    ],
    ids=["import", "help", "version"],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code: str) -> None:
    assert _loaded_by(code) & HEAVY == set()


def test_importing_the_package_is_quick() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import cfcontra"], check=True, cwd=ROOT / "tests")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.3


def test_every_package_folder_is_listed_for_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in _sources(*FOLDERS)}
    assert sorted(listed) == sorted(
        _module_name(folder / "x").rpartition(".")[0] for folder in folders
    )
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_results_are_printed_through_the_console() -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _sources(*FOLDERS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert faults == []


def test_no_file_is_a_drawer_for_everything() -> None:
    drawers = {"utils.py", "helpers.py", "util.py", "common.py", "misc.py"}
    named = [path for path in _sources(*FOLDERS, "tests", "benchmarks") if path.name in drawers]
    assert named == []
