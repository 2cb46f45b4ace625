"""`cfcontra-export`: `model.pt` to a certified, self-describing model file."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cfcontra.command import console, notes, run_command, set_up_logging
from cfcontra.errors import InputError
from cfcontra.interface import Interface

from .arguments import make_parser, require_fitting

if TYPE_CHECKING:
    from .auto import Tried
    from .certificate import Certificate

_MAX_DROP, _MAX_BATCH = 0.5, 8
_OF_ONNX = ("for_tensorrt", "runtime")  # options that an engine decides itself


def main(argv: list[str] | None = None) -> int:
    """Entry point of `cfcontra-export`."""
    return run_command(_export, argv)


def _export(argv: list[str]) -> None:
    arguments = make_parser().parse_args(argv)
    set_up_logging(arguments)
    engine = "tensorrt" in (arguments.format, arguments.inside)
    if arguments.device is None:
        arguments.device = "auto" if engine else "cpu"
    require_fitting(arguments)
    from .exporter import certificate_path, export_model, worst_path

    tried: list[Tried] = []
    current = False
    with _progress(arguments.quiet) as progress:

        def export(path: Path) -> Certificate:
            nonlocal current
            options = {**_options(arguments, progress), "picture": picture}
            if engine:
                from .engine import export_engine

                certificate, current = export_engine(
                    arguments.model,
                    path,
                    precision=arguments.precision,
                    max_batch=_MAX_BATCH if arguments.max_batch is None else arguments.max_batch,
                    version_compatible=arguments.version_compatible,
                    hardware_compatible=arguments.hardware_compatible,
                    timing_cache=arguments.timing_cache,
                    **{key: value for key, value in options.items() if key not in _OF_ONNX},
                )
                return certificate
            runtime = options.pop("runtime")
            if arguments.precision != "auto":
                return export_model(
                    arguments.model,
                    path,
                    precision=arguments.precision,
                    runtime=runtime or "onnxruntime",
                    **options,
                )
            from .auto import export_fastest, runtimes_here

            budget = _MAX_DROP if arguments.max_drop is None else arguments.max_drop
            if arguments.format == "triton":
                runtime = "onnxruntime"  # as the configuration says
            runtimes = [runtime] if runtime else runtimes_here(arguments.device)
            certificate, rows = export_fastest(
                arguments.model, path, budget, runtimes=runtimes, **options
            )
            tried.extend(rows)
            return certificate

        if arguments.format == "triton":
            from cfcontra.device import resolve_device

            from .triton import ENGINE, default_name, write_repository

            kind = resolve_device(arguments.device).type
            name = default_name(arguments.model) if arguments.name is None else arguments.name
            batch = _MAX_BATCH if arguments.max_batch is None else arguments.max_batch
            batch = None if arguments.batch is not None else batch
            repository: Path = arguments.output or arguments.model.parent / "triton"
            picture = worst_path(repository / name)
            certificate = write_repository(
                repository, name, export, kind, batch, arguments.overwrite, engine
            )
            output = repository / name / "1" / (ENGINE if engine else "model.onnx")
            following = f"tritonserver --model-repository {repository}"
        else:
            suffix = ".engine" if arguments.format == "tensorrt" else ".onnx"
            output = arguments.output or arguments.model.with_suffix(suffix)
            if output.suffix != suffix:
                raise InputError(f"{output}: the exported file's name must end in {suffix}.")
            picture = worst_path(output)
            certificate = export(output)
            following = f"cfcontra-segment VIDEO --model {output}"
    for row in tried:
        figures = "" if row.milliseconds is None else f"{row.milliseconds:.1f} ms, "
        figures += "" if row.drop is None else f"mIoU {0.0 - row.drop:+.2f}, "
        what = f"{row.precision}, {row.runtime}"
        console.print(f"{what:<20} {figures}{row.verdict}", markup=False, soft_wrap=True)
        if row.verdict == "chosen" and row.runtime != "onnxruntime":
            following += f" --runtime {row.runtime}"
    summary = certificate.summary()
    pixels = sum(row.pixels for row in certificate.sizes)
    rows = {
        "up to date"
        if current
        else "wrote": f"{output} ({output.stat().st_size / 1e6:.1f} MB, {summary['precision']})",
        "agreement": f"{summary['agreement']:.4%} of {pixels:,} pixels with {arguments.model}"
        f" ({summary['frame_count']} {summary['frames']} frames)",
        "certificate": str(certificate_path(output)),
        "next": following,
    }
    if certificate.miou is not None:
        rows["mIoU"] = "{exported:.2%}, checkpoint {checkpoint:.2%}".format(**certificate.miou)
    for runtime, also in certificate.record.get("runtimes", {}).items():
        rows["runtime"] = f"{runtime}: {also['agreement']:.4%} of its pixels agree"
    if kept := certificate.record.get("float_layers"):
        rows["in float"] = f"{len(kept)} of its layers: {', '.join(kept[:5])}"
        rows["in float"] += " …" if len(kept) > 5 else ""
    if found := certificate.record.get("tensorrt"):
        rows["tensorrt"] = "takes it, by its documented rules"
        if found["refused"]:
            rows["tensorrt"] = f"would refuse {found['refused']} operators, such as "
            rows["tensorrt"] += f"{found['first'][0]}; --check tensorrt writes one that it takes"
    if found := certificate.record.get("explanation"):
        rows["explained"] = found["said"]
    for name in (
        "wrote",
        "up to date",
        "in float",
        "agreement",
        "runtime",
        "mIoU",
        "certificate",
        "tensorrt",
        "explained",
        "next",
    ):
        if name in rows:
            console.print(f"{name:<12} {rows[name]}", markup=False, soft_wrap=True)


def _options(arguments: argparse.Namespace, progress: Callable[[str], None]) -> dict[str, Any]:
    return {
        "progress": progress,
        "work_size": arguments.work_size,
        "calibrate_specs": arguments.calibrate,
        "calibrate_frames": arguments.calibrate_frames,
        "activations": arguments.activations,
        "for_tensorrt": arguments.check == "tensorrt",
        "explained": arguments.explain,
        "interface": Interface(
            arguments.outputs,
            arguments.size,
            arguments.batch,
            arguments.mask_stride,
            arguments.embed_normalisation == "on",
        ),
        "certify_specs": arguments.certify,
        "certify_frames": arguments.certify_frames,
        "device": arguments.device,
        "runtime": arguments.runtime,
        "threads": arguments.threads,
        "overwrite": arguments.overwrite,
    }


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    if quiet:
        yield lambda _: None
    elif notes.is_terminal:
        with notes.status("starting") as status:
            yield lambda step: status.update(Text(step))
    else:
        yield lambda step: notes.print(step, style="dim", markup=False, soft_wrap=True)
