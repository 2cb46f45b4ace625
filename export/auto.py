"""The fastest precision on this machine that costs no more mIoU than allowed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cfcontra.device import resolve_device
from cfcontra.errors import CheckFailedError, InputError
from cfcontra.files import atomic_path

from .bench import Case, measure
from .certificate import Certificate
from .exporter import certificate_path, claim_output, export_model
from .int8 import Activations

_ROUNDS, _WARM_UP = 20, 3


@dataclass(frozen=True)
class Tried:
    """One precision that was tried.

    Attributes:
        milliseconds: median of a call on one frame; None where there is no file.
        drop: mIoU lost against the checkpoint, in points; None where there is no file.
        verdict: `chosen`, or why not.
    """

    precision: str
    milliseconds: float | None
    drop: float | None
    verdict: str


def export_fastest(
    checkpoint_path: Path,
    output: Path,
    max_drop: float,
    *,
    calibrate_specs: Sequence[str] | None,
    certify_specs: Sequence[str] | None,
    device: str,
    runtime: str,
    threads: int | None,
    activations: Activations | None,
    overwrite: bool,
    progress: Callable[[str], None],
    **options: Any,
) -> tuple[Certificate, list[Tried]]:
    """Export in every precision, time each on this machine, and keep the best.

    Args:
        max_drop: points of mIoU that may be lost.
        options: of `export_model`.

    Returns:
        The kept file's certificate, and all that was tried, which is also noted in the
        certificate beside the file.

    Raises:
        InputError: no labelled frames to judge by, none to calibrate on, or what
            `export_model` says.
        CheckFailedError: no precision stays within the budget.
    """
    if max_drop < 0:
        raise InputError(f"--max-drop {max_drop}: give 0 or more points of mIoU.")
    if not calibrate_specs or not certify_specs:
        raise InputError(
            "--precision auto needs --calibrate SPEC, frames of the domain, and --certify SPEC, "
            "labelled frames that the loss of mIoU is measured on."
        )
    claim_output(output, overwrite)
    cuda = resolve_device(device).type == "cuda"
    tried: list[Tried] = []
    made: dict[str, Certificate] = {}
    with tempfile.TemporaryDirectory(prefix=".cfcontra-", dir=output.parent) as name:
        folder = Path(name)
        for precision in ("fp32", "fp16") if cuda else ("fp32", "int8"):
            progress(f"trying {precision}")
            try:
                certificate = export_model(
                    checkpoint_path,
                    folder / f"{precision}.onnx",
                    precision=precision,
                    calibrate_specs=None if precision == "fp32" else calibrate_specs,
                    certify_specs=certify_specs,
                    activations=activations if precision == "int8" else None,
                    device=device,
                    runtime=runtime,
                    threads=threads,
                    progress=progress,
                    **options,
                )
            except CheckFailedError as error:
                tried.append(Tried(precision, None, None, str(error).partition(": ")[2]))
                continue
            if certificate.miou is None:
                raise InputError(
                    f"--certify {', '.join(certify_specs)}: has no labels in the model's label "
                    "space, and the loss of mIoU cannot be measured without."
                )
            made[precision] = certificate
        files = [folder / f"{precision}.onnx" for precision in made]
        times = _times(files, made, device, runtime, threads, progress)
        within = [p for p in made if _drop(made[p]) <= max_drop]
        best = min(within, key=lambda precision: times[precision], default=None)
        for precision, certificate in made.items():
            verdict = "chosen" if precision == best else "slower"
            if precision not in within:
                verdict = f"loses more than {max_drop:g} points"
            tried.append(Tried(precision, times[precision], _drop(certificate), verdict))
        if best is None:
            found = "; ".join(f"{row.precision}: {row.verdict}" for row in tried)
            raise CheckFailedError(f"{output}: not written. {found}.")
        _keep(folder / f"{best}.onnx", output, tried)
    return made[best], tried


def _drop(certificate: Certificate) -> float:
    assert certificate.miou is not None
    return -100 * certificate.miou["difference"]


def _times(
    files: list[Path],
    made: dict[str, Certificate],
    device: str,
    runtime: str,
    threads: int | None,
    progress: Callable[[str], None],
) -> dict[str, float]:
    """Milliseconds of each file on a frame of the size that the certified ones have."""
    if not files:
        return {}
    size = next(iter(made.values())).sizes[0].size
    found = [int(part) for part in size.split("x")] if "x" in size else [540, 960]
    cases = [Case(file, runtime, (found[0], found[1]), 1) for file in files]
    timings = measure(cases, device, threads, _WARM_UP, _ROUNDS, False, progress)
    return {case.model.stem: timing.p50 for case, timing in zip(cases, timings, strict=True)}


def _keep(file: Path, output: Path, tried: list[Tried]) -> None:
    certificate = json.loads(certificate_path(file).read_text("utf-8"))
    certificate["tried"] = [asdict(row) for row in tried]
    with atomic_path(certificate_path(output)) as beside, atomic_path(output) as onnx_file:
        onnx_file.write_bytes(file.read_bytes())
        beside.write_text(json.dumps(certificate, indent=2) + "\n", "utf-8")
