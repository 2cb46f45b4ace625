"""The wheel holds the whole package: an editable install hides what it lacks."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "cfcontra": "cfcontra",
    "train": "cfcontra/train",
    "export": "cfcontra/export",
    "serve": "cfcontra/serve",
}
"""Folder in the repository → folder in the wheel."""

IMPORT_ALL = """
import importlib, json, sys
modules, targets = json.load(sys.stdin)
wrong = {}
for name in modules:
    try:
        importlib.import_module(name)
    except BaseException as error:
        wrong[name] = f"{type(error).__name__}: {error}"
for target in targets:
    module, _, attribute = target.partition(":")
    if module not in wrong and not callable(getattr(sys.modules.get(module), attribute, None)):
        wrong[target] = "is not there"
json.dump({"wrong": wrong, "files": {name: sys.modules[name].__file__ for name in modules
    if name in sys.modules}}, sys.stdout)
"""


GENERATED = ("__pycache__", "*.pyi")
"""Python's cache, and the stubs that Gradio writes beside components when they are imported."""


def _files(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(fnmatch(p, g) for p in path.parts for g in GENERATED)
    ]


def _expected_files() -> set[str]:
    return {
        f"{inside}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, inside in PACKAGES.items()
        for path in _files(ROOT / folder)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools leaves a `build/` folder that spoils the next."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    for folder in PACKAGES:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns(*GENERATED))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place)]
    result = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the wheel's content, as pip puts it into site-packages."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def _entry_points(installed: Path) -> dict[str, str]:
    (written,) = installed.glob("*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read(written)
    return dict(parser["console_scripts"])


def test_every_file_of_the_packages_is_inside_and_nothing_else(installed: Path) -> None:
    inside = {path.relative_to(installed).as_posix() for path in _files(installed)}
    packaged = {name for name in inside if ".dist-info/" not in name}
    assert packaged == _expected_files()
    assert any(name.startswith("cfcontra/train/recipes/") for name in packaged)


def test_the_licence_texts_travel_with_it(installed: Path) -> None:
    for name in ("LICENSE", "NOTICE"):
        (text,) = installed.glob(f"*.dist-info/licenses/{name}")
        assert text.read_bytes() == (ROOT / name).read_bytes()


def test_the_console_scripts_are_those_of_the_project(installed: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert _entry_points(installed) == project["scripts"]


def test_every_module_and_command_loads_from_the_wheel(installed: Path) -> None:
    modules = sorted(
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in _expected_files()
        if name.endswith(".py")
    )
    # -S: no .pth files, so the editable install's import hook cannot fill gaps.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(installed), sysconfig.get_path("purelib")])
    }
    result = subprocess.run(
        [sys.executable, "-S", "-c", IMPORT_ALL],
        input=json.dumps([modules, list(_entry_points(installed).values())]),
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["wrong"] == {}
    elsewhere = {
        name: file
        for name, file in report["files"].items()
        if not Path(file).is_relative_to(installed)
    }
    assert elsewhere == {}
    assert len(report["files"]) == len(modules)
