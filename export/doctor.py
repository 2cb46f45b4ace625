"""`cfcontra-doctor`: what really runs on this machine, and what mends what does not.

Lists of providers and devices say what was compiled in. Here every runtime runs a tiny model on
every device it might have, and its answer is compared.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

from cfcontra import __version__
from cfcontra.command import Parser, console, run_command, set_up_logging
from cfcontra.errors import CfcontraError, CheckFailedError
from cfcontra.files import atomic_write_text, prepare_output
from cfcontra.interface import Interface

from .doctor_packages import conflicts, missing, reinstall, versions
from .finding import ABSENT, APT, BROKEN, OK, Finding, first_line


def main(argv: list[str] | None = None) -> int:
    """Entry point of `cfcontra-doctor`."""
    return run_command(_doctor, argv)


def _doctor(argv: list[str]) -> None:
    parser = Parser("doctor", "Try every runtime on every device, and say what mends what fails.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the findings here")
    parser.add_overwrite()
    arguments = parser.parse_args(argv)
    set_up_logging(arguments)
    if arguments.json is not None:
        prepare_output(arguments.json, arguments.overwrite)
    found: list[Finding] = []
    _print(f"cfcontra {__version__}, Python {platform.python_version()}, {platform.platform()}")
    installed = versions()
    _print(", ".join(f"{name} {version}" for name, version in installed.items()))
    findings = missing()
    if not findings:  # the rest needs them
        findings = [*conflicts(installed), *devices(), *runtimes(), *encoders()]
    for finding in findings:
        found.append(finding)
        _print(f"{finding.state:<7} {finding.name:<24} {finding.said}")
        if finding.fix:
            _print(f"{'':<7} {'':<24} → {finding.fix}")
    if arguments.json is not None:
        content = {"versions": installed, "findings": [asdict(finding) for finding in found]}
        atomic_write_text(arguments.json, json.dumps(content, indent=2) + "\n")
    broken = [finding.name for finding in found if finding.state == BROKEN]
    if broken:
        raise CheckFailedError(f"broken: {', '.join(broken)}. What mends each stands above.")


def _print(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def devices() -> list[Finding]:
    """The CPU, and each GPU that torch can use."""
    import torch

    found = [Finding("cpu", OK, f"{torch.get_num_threads()} threads, {_cpu_abilities()}")]
    present = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(index)
            memory = f"{about.total_memory / 2**30:.0f} GiB"
            found.append(Finding(f"cuda:{index}", OK, f"{about.name}, {memory}"))
    elif not present:
        found.append(Finding("cuda", ABSENT, "no NVIDIA GPU here"))
    elif torch.version.cuda is None:
        fix = "pip install --force-reinstall torch torchvision"
        found.append(Finding("cuda", BROKEN, "there is a GPU, but torch is its CPU build", fix))
    else:
        said = f"there is a GPU, but torch (CUDA {torch.version.cuda}) cannot use it: its driver "
        fix = "nvidia-smi   # shows the driver's CUDA version; update the driver to reach torch's"
        found.append(Finding("cuda", BROKEN, said + "is missing or too old", fix))
    return found


def _cpu_abilities() -> str:
    import torch

    return f"vectors up to {torch.backends.cpu.get_cpu_capability()}"


def runtimes() -> Iterator[Finding]:
    """Each runtime on each device: a tiny model is opened, run, and its answer compared."""
    import torch

    from cfcontra.runtime import RUNTIMES, open_backend

    cuda = torch.cuda.is_available()
    with tempfile.TemporaryDirectory(prefix="cfcontra-") as name:
        folder = Path(name)
        make_tiny(folder)
        reference = open_backend(folder / "model.pt", "cpu")
        for runtime, suffix in RUNTIMES.items():
            path = folder / f"model{suffix}"
            if runtime == "tensorrt":
                yield _try_tensorrt(cuda, path, reference.predict)
                continue
            for device in ("cpu", "cuda") if cuda and "openvino" not in runtime else ("cpu",):
                yield _try(runtime, device, path, reference.predict)


def _try_tensorrt(cuda: bool, path: Path, reference: Callable[..., object]) -> Finding:
    """Builds an engine of the tiny model first, which is half of what may fail."""
    if not cuda and importlib.util.find_spec("tensorrt") is not None:
        return Finding("tensorrt on cuda", ABSENT, "no CUDA GPU to run on")

    def build() -> None:
        from .engine import export_engine

        export_engine(
            path.with_suffix(".pt"),
            path,
            interface=Interface(size=(64, 96)),
            precision="fp32",
            certify_specs=["streets:noon,size=64x96"],
            certify_frames=1,
            device="cuda",
        )

    return _try("tensorrt", "cuda", path, reference, build)


def make_tiny(folder: Path) -> None:
    """`model.pt` and `model.onnx` of a small network with random weights."""
    import torch

    from cfcontra.checkpoint import save_checkpoint
    from cfcontra.label_space import LABEL_SPACES
    from cfcontra.metadata import ModelMetadata
    from cfcontra.models import build_model
    from cfcontra.onnx_content import serialise
    from cfcontra.preprocessing import Preprocessing

    from .onnx_file import build_file, describe, export_network

    with torch.random.fork_rng():
        torch.manual_seed(0)
        space = LABEL_SPACES["camvid11"]
        model = build_model("light", space.num_classes).eval()
        torch.nn.init.normal_(model.head.weight, std=1.0)  # type: ignore[arg-type]
    metadata = ModelMetadata(space, Preprocessing((64, 96)), model.config())
    save_checkpoint(folder / "model.pt", model, metadata)
    file = build_file(export_network(model, metadata.preprocessing.work_size), metadata)
    describe(file, metadata)
    (folder / "model.onnx").write_bytes(serialise(file))


def _try(
    runtime: str,
    device: str,
    path: Path,
    reference: Callable[..., object],
    build: Callable[[], None] = lambda: None,
) -> Finding:
    import numpy as np

    from cfcontra.runtime import Prediction, open_backend
    from cfcontra.runtime.onnx_backend import OnnxBackend

    name = f"{runtime} on {device}"
    package = runtime.split("-")[0]
    if importlib.util.find_spec(package) is None:
        extra = f"pip install 'cfcontra[{package}]'"  # what no extra brings is in _REQUIRED
        return Finding(name, ABSENT, "not installed", extra)
    if runtime == "torch-compiled" and shutil.which("g++") is None and device == "cpu":
        return Finding(name, ABSENT, "no C++ compiler", f"{APT}g++")
    frames = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    try:
        build()
        backend = open_backend(path, device, None, runtime)
        found = backend.predict(frames)
        start = time.perf_counter()
        backend.predict(frames)
        took = time.perf_counter() - start
        left = []
        if device == "cuda" and isinstance(backend, OnnxBackend):
            left = backend.left_on_cpu(frames)
    except CfcontraError as error:
        said, _, fix = str(error).partition(" Install ")
        state = ABSENT if "does not compute in bf16" in said else BROKEN
        return Finding(name, state, said, f"Install {fix}" if fix else "")
    except Exception as error:  # noqa: BLE001 - whatever a driver or a library brings up
        return Finding(name, BROKEN, f"fails: {first_line(error)}", reinstall(package))
    expected = reference(frames)
    assert isinstance(expected, Prediction)
    agreement = float(np.mean(found.mask == expected.mask))
    limit = 0.95 if runtime.endswith("bf16") else 0.999
    if agreement < limit:
        said = f"answers differently: {agreement:.1%} of the pixels agree"
        return Finding(name, BROKEN, said, reinstall(package))
    said = f"{backend.runtime}, {1e3 * took:.1f} ms for 64x96"
    if left:
        said += f"; {len(left)} operators on whole frames run on the CPU: {', '.join(left[:3])}"
    return Finding(name, OK, said)


def encoders() -> list[Finding]:
    """Video encoders that open here."""
    import av
    from av.error import FFmpegError

    found = []
    for name in ("libx264", "h264_nvenc"):
        try:
            context = av.CodecContext.create(name, "w")
            context.width, context.height = 320, 192
            context.pix_fmt, context.framerate = "yuv420p", Fraction(30)
            context.open()
        except (FFmpegError, ValueError) as error:
            state = ABSENT if name.endswith("nvenc") else BROKEN
            found.append(Finding(f"encoder {name}", state, f"does not open ({error})"))
        else:
            found.append(Finding(f"encoder {name}", OK, f"PyAV {av.__version__}"))
    return found
