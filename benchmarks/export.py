"""What exporting gains: precisions and runtimes against eager torch, and file sizes.

    python benchmarks/export.py runs/dusk/model.pt \
        --calibrate folder:data/dusk --certify folder:data/dusk-val --threads 1

Exports the model in every precision, then calls all of them in turns on the same frames. The
baselines: eager torch in float32, and a plain loop (OpenCV and numpy around the bare network in
onnxruntime). The mIoU is that of the certificate, on labelled frames.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

from rows import row, write_rows

from cfcontra.errors import CfcontraError, InputError, MissingDependencyError
from cfcontra.export.bench import PLAIN, Case, Timing, measure
from cfcontra.export.exporter import export_model
from cfcontra.runtime import RUNTIMES, open_backend

PRECISIONS = ("fp32", "fp16", "int8")
BASELINES = ("torch", "onnxruntime", PLAIN)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibrate", action="append", required=True, metavar="SPEC")
    parser.add_argument("--certify", action="append", required=True, metavar="SPEC")
    parser.add_argument("--size", nargs=2, type=int, default=[540, 960], metavar=("H", "W"))
    parser.add_argument("--work-size", nargs=2, type=int, metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="cfcontra-") as folder:
            run(arguments, Path(folder))
    except CfcontraError as error:
        sys.exit(f"error: {error}")


def run(arguments: argparse.Namespace, folder: Path) -> None:
    model = folder / "model.pt"
    shutil.copy(arguments.model, model)
    if arguments.work_size:
        set_work_size(model, tuple(arguments.work_size))
    certificates = {}
    for precision in PRECISIONS:
        note(f"exporting {precision}")
        certificates[precision] = export_model(
            model,
            folder / f"{precision}.onnx",
            precision=precision,
            calibrate_specs=None if precision == "fp32" else arguments.calibrate,
            certify_specs=arguments.certify,
            threads=arguments.threads,
        )
    files = [model, folder / "fp32.onnx", folder / "int8.onnx"]
    if arguments.device != "cpu":
        files.insert(2, folder / "fp16.onnx")
    size = (arguments.size[0], arguments.size[1])
    cases = [
        Case(file, runtime, size, arguments.batch)
        for file in files
        for runtime, suffix in [*RUNTIMES.items(), (PLAIN, ".onnx")]
        if suffix == file.suffix and not (arguments.device != "cpu" and "openvino" in runtime)
    ]
    cases = those_that_open(cases, arguments.device, arguments.threads)
    timings = measure(cases, arguments.device, arguments.threads, 3, arguments.repeats, True, note)
    by_case = {(case.model.stem, case.runtime): t for case, t in zip(cases, timings, strict=True)}
    eager = by_case["model", "torch"].p50
    print("| file | runtime | p50, ms | against eager torch | against the plain loop | MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for timing in timings:
        plain = "" if timing.ratio is None else f"{timing.ratio:.2f}"
        memory = "" if timing.memory is None else f"{timing.memory:.0f}"
        cells = (timing.model, timing.runtime, f"{timing.p50:.1f}", f"{eager / timing.p50:.2f}")
        print(f"| {' | '.join((*cells, plain, memory))} |")
    print("\n| precision | MB | pixels that agree | mIoU | less than the checkpoint's |")
    print("| --- | --- | --- | --- | --- |")
    for precision, certificate in certificates.items():
        megabytes = (folder / f"{precision}.onnx").stat().st_size / 1e6
        miou = certificate.miou or {"exported": float("nan"), "difference": float("nan")}
        found = f"{100 * miou['exported']:.2f} | {-100 * miou['difference']:.2f}"
        print(f"| {precision} | {megabytes:.1f} | {certificate.agreement:.4%} | {found} |")
    content = floors(by_case, certificates["int8"].miou)
    write_rows(arguments.json, content + file_sizes(folder))


def those_that_open(cases: Sequence[Case], device: str, threads: int | None) -> list[Case]:
    """The cases that this machine can run, each of the others noted with the reason.

    The baselines stay: without them there is nothing to tell, and `measure` says why.
    """
    found = []
    for case in cases:
        if case.runtime not in BASELINES:
            try:
                open_backend(case.model, device, threads, case.runtime)
            except (InputError, MissingDependencyError) as error:
                note(f"left out, {case.model.name} in {case.runtime}: {error}")
                continue
        found.append(case)
    return found


def file_sizes(folder: Path) -> list[dict[str, Any]]:
    """Megabytes of each file, beside float32's."""
    sizes = {name: (folder / f"{name}.onnx").stat().st_size / 1e6 for name in PRECISIONS}
    return [row(f"{name}.onnx, size", size, sizes["fp32"], "MB") for name, size in sizes.items()]


def set_work_size(path: Path, size: tuple[int, int]) -> None:
    """Let eager torch run at the size that is exported."""
    from dataclasses import replace

    from cfcontra.checkpoint import load_checkpoint, save_checkpoint

    loaded = load_checkpoint(path)
    preprocessing = replace(loaded.metadata.preprocessing, work_size=size)
    save_checkpoint(path, loaded.model, replace(loaded.metadata, preprocessing=preprocessing))


def floors(
    by_case: dict[tuple[str, str], Timing], miou: dict[str, float] | None
) -> list[dict[str, Any]]:
    eager = by_case["model", "torch"].p50
    onnx, int8 = by_case["fp32", "onnxruntime"].p50, by_case["int8", "onnxruntime"].p50
    plain = by_case["fp32", PLAIN].p50
    fastest = min(timing.p50 for (_, runtime), timing in by_case.items() if runtime != PLAIN)
    content = [
        row("int8 against fp32, onnxruntime", int8, onnx, "ms", 2.0),
        row("onnxruntime against eager torch", onnx, eager, "ms", 1.5),
        row("fastest runtime against eager torch", fastest, eager, "ms", 3.0),
        row("fused graph against a plain loop", onnx, plain, "ms"),
    ]
    if miou is not None and miou["checkpoint"] > 0:
        found = row(
            "int8, mIoU", miou["exported"], miou["checkpoint"], "share", more_is_better=True
        )
        content.append(found | {"holds": miou["difference"] >= -0.01})
    return content


if __name__ == "__main__":
    main()
