"""The fastest way to run a model on this machine that costs no more mIoU than allowed."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cfcontra.device import resolve_device
from cfcontra.errors import CheckFailedError, InputError, MissingDependencyError
from cfcontra.files import atomic_path
from cfcontra.interface import Interface
from cfcontra.label_space import IGNORE_INDEX
from cfcontra.runtime.torch_backend import TorchBackend

from .bench import Case, measure
from .certificate import Certificate
from .exporter import (
    DepartsError,
    certificate_path,
    certify_in,
    claim_output,
    exact_runtime,
    export_model,
    load_for_export,
    worst_path,
)
from .frames import load_frames
from .int8 import Activations

_ROUNDS, _WARM_UP = 20, 3


@dataclass(frozen=True)
class Tried:
    """One way to run the model that was tried.

    Attributes:
        precision: of the file.
        runtime: what ran it.
        milliseconds: median of a call on one frame; None where it was not timed.
        drop: mIoU lost against the checkpoint, in points; None where it is not known.
        verdict: `chosen`, or why not.
    """

    precision: str
    runtime: str
    milliseconds: float | None
    drop: float | None
    verdict: str


def runtimes_here(device: str) -> tuple[str, ...]:
    """The runtimes for `.onnx` that are installed for a device."""
    if resolve_device(device).type == "cuda" or find_spec("openvino") is None:
        return ("onnxruntime",)
    return ("onnxruntime", "openvino", "openvino-bf16")


def export_fastest(
    checkpoint_path: Path,
    output: Path,
    max_drop: float,
    *,
    calibrate_specs: Sequence[str] | None,
    certify_specs: Sequence[str] | None,
    certify_frames: int,
    work_size: tuple[int, int] | None,
    interface: Interface,
    device: str,
    runtimes: Sequence[str],
    threads: int | None,
    activations: Activations | None,
    overwrite: bool,
    progress: Callable[[str], None],
    picture: Path | None = None,
    **options: Any,
) -> tuple[Certificate, list[Tried]]:
    """Export in every precision, time each in every runtime, and keep the best file.

    Args:
        max_drop: points of mIoU that may be lost.
        runtimes: for `.onnx`, of `RUNTIMES`.
        options: further ones of `export_model`.

    Returns:
        The kept file's certificate, and all that was tried, which is also noted in the
        certificate beside the file.

    Raises:
        InputError: no labelled frames to judge by, none to calibrate on, or what
            `export_model` says.
        CheckFailedError: nothing stays within the budget.
    """
    if not 0 <= max_drop < math.inf:
        raise InputError(f"--max-drop {max_drop}: give 0 or more points of mIoU.")
    if not calibrate_specs or not certify_specs:
        raise InputError(
            "--precision auto needs --calibrate SPEC, frames of the domain, and --certify SPEC, "
            "labelled frames that the loss of mIoU is measured on."
        )
    claim_output(output, overwrite)
    picture = picture or worst_path(output)
    checkpoint = load_for_export(checkpoint_path, work_size, interface)
    samples = load_frames(certify_specs, certify_frames, checkpoint.metadata.label_space)
    unlabelled = InputError(
        f"--certify {', '.join(certify_specs)}: has no labels in the model's label space, or all "
        "of it is ignored, and the loss of mIoU cannot be measured without."
    )
    labels = [sample.label for sample in samples if sample.label is not None]
    if all((label == IGNORE_INDEX).all() for label in labels):
        raise unlabelled
    reference = TorchBackend(checkpoint, "cpu", threads)
    exact = exact_runtime(runtimes[0])
    cuda = resolve_device(device).type == "cuda"
    tried: list[Tried] = []
    files: dict[Path, Certificate] = {}
    certified: dict[Case, Certificate] = {}
    with tempfile.TemporaryDirectory(prefix=".cfcontra-", dir=output.parent) as name:
        for precision in ("fp32", "fp16") if cuda else ("fp32", "int8"):
            progress(f"trying {precision}")
            file = Path(name) / f"{precision}.onnx"
            try:
                files[file] = export_model(
                    checkpoint_path,
                    file,
                    precision=precision,
                    calibrate_specs=None if precision == "fp32" else calibrate_specs,
                    certify_specs=certify_specs,
                    certify_frames=certify_frames,
                    work_size=work_size,
                    interface=interface,
                    activations=activations if precision == "int8" else None,
                    device=device,
                    runtime=exact,
                    threads=threads,
                    picture=picture,
                    progress=progress,
                    **options,
                )
            except CheckFailedError as error:
                tried.append(Tried(precision, exact, None, None, _reason(error)))
                continue
            if files[file].miou is None:  # none are left at the size of the file
                raise unlabelled
            for runtime in runtimes:
                case = Case(file, runtime, _size(files[file]), 1)
                if runtime == exact:
                    certified[case] = files[file]
                    continue
                progress(f"trying {precision} in {runtime}")
                try:
                    found = certify_in(
                        runtime, file, precision, reference, samples, device, threads, progress
                    )
                except (InputError, MissingDependencyError) as error:  # this machine cannot
                    tried.append(Tried(precision, runtime, None, None, str(error)))
                    continue
                if failures := found.failures():
                    verdict = f"departs from the checkpoint: {'; '.join(failures)}"
                    tried.append(Tried(precision, runtime, None, _drop(found), verdict))
                else:
                    certified[case] = found
        timings = measure([*certified], device, threads, _WARM_UP, _ROUNDS, False, progress)
        times = {case: timing.p50 for case, timing in zip(certified, timings, strict=True)}
        within = [case for case in certified if _drop(certified[case]) <= max_drop]
        best = min(within, key=lambda case: times[case], default=None)
        for case, certificate in certified.items():
            verdict = "chosen" if case == best else "slower"
            if case not in within:
                verdict = f"loses more than {max_drop:g} points"
            row = Tried(case.model.stem, case.runtime, times[case], _drop(certificate), verdict)
            tried.append(row)
        if best is None:
            told = "; ".join(f"{row.precision} in {row.runtime}: {row.verdict}" for row in tried)
            raise CheckFailedError(f"{output}: not written. {told}.")
        chosen = files[best.model]
        if best.runtime != exact:
            chosen.record["runtimes"] = {best.runtime: certified[best].summary()}
        content = {**chosen.to_dict(), "tried": [asdict(row) for row in tried]}
        with atomic_path(certificate_path(output)) as beside, atomic_path(output) as onnx_file:
            onnx_file.write_bytes(best.model.read_bytes())
            beside.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    picture.unlink(missing_ok=True)  # of a precision that was passed over, or of an earlier run
    return chosen, tried


def _reason(error: CheckFailedError) -> str:
    """Why there is no file, without the places of files, which are gone."""
    return error.reason if isinstance(error, DepartsError) else str(error).partition(": ")[2]


def _drop(certificate: Certificate) -> float:
    assert certificate.miou is not None
    return -100 * certificate.miou["difference"]


def _size(certificate: Certificate) -> tuple[int, int]:
    """Of the frames to time with: that of the certified ones, where they have one."""
    height, x, width = certificate.sizes[0].size.partition("x")
    return (int(height), int(width)) if x else (540, 960)
