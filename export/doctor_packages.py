"""Packages that do not load, or do not go together."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import sys

from packaging.requirements import Requirement

from cfcontra.errors import CfcontraError

from .finding import ABSENT, APT, BROKEN, Finding, first_line

_PACKAGES = (
    *("torch", "torchvision", "lightning", "timm", "segmentation-models-pytorch"),
    *("onnx", "onnxruntime-gpu", "onnxruntime", "openvino"),
    *("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
    *("av", "opencv-python", "opencv-python-headless", "gradio", "numpy"),
)
_RIVALS = (
    ("onnxruntime", "onnxruntime-gpu", "onnxruntime-gpu"),
    ("opencv-python-headless", "opencv-python", "opencv-python"),
)
_REQUIRED = {
    **{name: name for name in ("numpy", "torch", "torchvision", "timm", "onnx", "av")},
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "cv2": "opencv-python",
    "onnxruntime": (
        "onnxruntime-gpu"
        if (sys.platform, platform.machine()) == ("linux", "x86_64")
        else "onnxruntime"
    ),
}
"""Modules that nothing runs without, and the packages they come in."""
_IMPORTED_AS = {"cv2": "cfcontra.opencv"}  # knows what OpenCV may lack


def versions() -> dict[str, str]:
    """Installed versions of the packages that matter here."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def missing() -> list[Finding]:
    """Packages that are required and not there, or there and of no use."""
    tried = [_try_import(module, package) for module, package in _REQUIRED.items()]
    return [finding for finding in tried if finding is not None]


def _try_import(module: str, package: str) -> Finding | None:
    """What is wrong with a required package, if anything."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return Finding(package, BROKEN, "not installed", f"pip install {package}")
    if spec.origin is None:  # a bare folder imports, too
        return Finding(package, BROKEN, "its files are gone", _reinstall_of(module, package))
    try:
        importlib.import_module(_IMPORTED_AS.get(module, module))
    except CfcontraError as error:
        said, command, libraries = str(error).partition(APT)
        return Finding(package, BROKEN, said.strip(), command + libraries)
    except Exception as error:  # noqa: BLE001 - whatever a package brings up
        said = f"does not load: {first_line(error)}"
        return Finding(package, BROKEN, said, _reinstall_of(module, package))
    return None


def _reinstall_of(module: str, package: str) -> str:
    """By the names of what is installed: several packages may bring the same module."""
    names = importlib.metadata.packages_distributions().get(module, [package])
    return f"pip install --force-reinstall {' '.join(dict.fromkeys(names))}"


def conflicts(installed: dict[str, str]) -> list[Finding]:
    """Packages that overwrite each other's files, and versions that do not go together."""
    found = []
    for one, other, wanted in _RIVALS:
        if one in installed and other in installed:
            fix = f"pip uninstall -y {one} {other} && pip install {wanted}"
            found.append(Finding(f"{one} and {other}", BROKEN, "overwrite each other's files", fix))
    for text in importlib.metadata.requires("torchvision") or []:
        needed = Requirement(text)
        version = installed.get("torch")
        if needed.name == "torch" and version and not needed.specifier.contains(version, True):
            said = f"torchvision {installed.get('torchvision')} needs torch{needed.specifier}, and "
            fix = "pip install --upgrade torch torchvision"
            said += f"{version} is installed"
            found.append(Finding("torch and torchvision", BROKEN, said, fix))
    if "onnxruntime-gpu" in installed:
        import onnxruntime

        fix = "pip install 'onnxruntime-gpu[cuda,cudnn]'"
        found += _cuda_misfit("onnxruntime-gpu", getattr(onnxruntime, "cuda_version", ""), fix)
    for name in installed:
        if name.startswith("tensorrt-cu"):
            fix = f"pip uninstall -y tensorrt {name} && pip install tensorrt-cu{_cuda_major()}"
            found += _cuda_misfit(name, name.removeprefix("tensorrt-cu"), fix)
    return found


def _cuda_misfit(package: str, theirs: str, fix: str) -> list[Finding]:
    import torch

    if not theirs or not _cuda_major() or theirs.split(".")[0] == _cuda_major():
        return []
    said = f"{package} is built for CUDA {theirs}, torch for {torch.version.cuda}: each needs its "
    return [Finding("CUDA versions", ABSENT, said + "own libraries", fix)]


def _cuda_major() -> str:
    import torch

    return (torch.version.cuda or "").split(".")[0]


def reinstall(package: str) -> str:
    """The command that installs all parts of a package anew."""
    installed = [name for name in versions() if name.startswith(package)]
    return f"pip install --force-reinstall {' '.join(installed) or package}"
