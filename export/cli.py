"""`cfcontra-export`: `model.pt` to a certified, self-describing model file."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cfcontra.command import Parser, console, notes, run_command, set_up_logging
from cfcontra.errors import InputError
from cfcontra.interface import ALWAYS, MASK_STRIDES, OUTPUTS, Interface

if TYPE_CHECKING:
    from .auto import Tried
    from .certificate import Certificate

_MAX_DROP, _MAX_BATCH = 0.5, 8


def main(argv: list[str] | None = None) -> int:
    """Entry point of `cfcontra-export`."""
    return run_command(_export, argv)


def _export(argv: list[str]) -> None:
    arguments = _parser().parse_args(argv)
    set_up_logging(arguments)
    from .exporter import certificate_path, export_model

    _require_fitting(arguments)
    tried: list[Tried] = []
    with _progress(arguments.quiet) as progress:

        def export(path: Path) -> Certificate:
            if arguments.precision != "auto":
                return export_model(
                    arguments.model,
                    path,
                    precision=arguments.precision,
                    progress=progress,
                    **_options(arguments),
                )
            from .auto import export_fastest

            budget = _MAX_DROP if arguments.max_drop is None else arguments.max_drop
            certificate, rows = export_fastest(
                arguments.model, path, budget, progress=progress, **_options(arguments)
            )
            tried.extend(rows)
            return certificate

        if arguments.format == "triton":
            from .triton import default_name, write_repository

            name = default_name(arguments.model) if arguments.name is None else arguments.name
            batch = _MAX_BATCH if arguments.max_batch is None else arguments.max_batch
            batch = None if arguments.batch is not None else batch
            repository: Path = arguments.output or arguments.model.parent / "triton"
            certificate = write_repository(
                repository, name, export, arguments.device, batch, arguments.overwrite
            )
            output = repository / name / "1" / "model.onnx"
            following = f"tritonserver --model-repository {repository}"
        else:
            output = arguments.output or arguments.model.with_suffix(".onnx")
            certificate = export(output)
            following = f"cfcontra-segment VIDEO --model {output}"
    for row in tried:
        figures = "" if row.milliseconds is None else f"{row.milliseconds:.1f} ms, "
        figures += "" if row.drop is None else f"mIoU {0.0 - row.drop:+.2f}, "
        console.print(f"{row.precision:<12} {figures}{row.verdict}", markup=False, soft_wrap=True)
    summary = certificate.summary()
    pixels = sum(row.pixels for row in certificate.sizes)
    rows = {
        "wrote": f"{output} ({output.stat().st_size / 1e6:.1f} MB, {summary['precision']})",
        "agreement": f"{summary['agreement']:.4%} of {pixels:,} pixels with {arguments.model}"
        f" ({summary['frame_count']} {summary['frames']} frames)",
        "certificate": str(certificate_path(output)),
        "next": following,
    }
    if certificate.miou is not None:
        rows["mIoU"] = "{exported:.2%}, checkpoint {checkpoint:.2%}".format(**certificate.miou)
    if kept := certificate.record.get("float_layers"):
        rows["in float"] = f"{len(kept)} of its layers: {', '.join(kept[:5])}"
        rows["in float"] += " …" if len(kept) > 5 else ""
    if found := certificate.record.get("tensorrt"):
        rows["tensorrt"] = "takes it, by its documented rules"
        if found["refused"]:
            rows["tensorrt"] = f"would refuse {found['refused']} operators, such as "
            rows["tensorrt"] += f"{found['first'][0]}; --check tensorrt writes one that it takes"
    for name in ("wrote", "in float", "agreement", "mIoU", "certificate", "tensorrt", "next"):
        if name in rows:
            console.print(f"{name:<12} {rows[name]}", markup=False, soft_wrap=True)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "work_size": arguments.work_size,
        "calibrate_specs": arguments.calibrate,
        "calibrate_frames": arguments.calibrate_frames,
        "activations": arguments.activations,
        "for_tensorrt": arguments.check == "tensorrt",
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


def _require_fitting(arguments: argparse.Namespace) -> None:
    if arguments.precision != "auto" and arguments.max_drop is not None:
        raise InputError("--max-drop is for --precision auto alone.")
    if arguments.format != "triton":
        for option, given in (("--name", arguments.name), ("--max-batch", arguments.max_batch)):
            if given is not None:
                raise InputError(f"{option} is for --format triton alone.")
    if arguments.batch is not None and arguments.max_batch is not None:
        raise InputError("--max-batch: a file of a fixed --batch takes no other. Leave one out.")


def _parser() -> Parser:
    parser = Parser("export", "Write model.pt as one certified, self-describing model file.")
    parser.add_argument("model", type=Path, help="the model.pt of a finished run")
    parser.add_argument(
        "--output",
        type=Path,
        help="file to write (default: MODEL.onnx beside it); of triton the repository's folder "
        "(default: triton beside it)",
    )
    parser.add_argument(
        "--format",
        choices=["onnx", "triton"],
        default="onnx",
        help="one file, or a model repository of Triton Inference Server (default: onnx)",
    )
    parser.add_argument("--name", help="of the model in Triton (default: the run's)")
    parser.add_argument(
        "--max-batch", type=int, metavar="N", help="frames that Triton may join (default: 8)"
    )
    parser.add_argument(
        "--precision",
        choices=["fp32", "fp16", "int8", "auto"],
        default="fp32",
        help="of weights and arithmetic; int8 needs --calibrate; auto takes the fastest here that "
        "loses no more than --max-drop (default: fp32)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="mIoU that auto may lose on the labelled frames of --certify (default: 0.5)",
    )
    parser.add_argument(
        "--calibrate",
        action="append",
        metavar="SPEC",
        help="frames of the domain that the model is for, which int8 takes its ranges from, e.g. "
        "video:drives/*.mp4; may be repeated",
    )
    parser.add_argument(
        "--calibrate-frames", type=int, default=32, metavar="N", help="how many (default: 32)"
    )
    parser.add_argument(
        "--activations",
        choices=["uint8", "int8"],
        help="of int8: uint8 is fastest on CPUs, int8 is what TensorRT takes (default: uint8)",
    )
    parser.add_argument(
        "--work-size",
        type=_size,
        metavar="HxW",
        help="size the network runs at (default: the one it was trained at)",
    )
    parser.add_argument(
        "--outputs",
        type=lambda text: tuple(text.split(",")),
        default=ALWAYS,
        metavar="NAMES",
        help=f"what the file gives, of {','.join(OUTPUTS)} (default: {','.join(ALWAYS)})",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="take frames of this size alone, for consumers that need a fixed one (default: any)",
    )
    parser.add_argument(
        "--batch", type=int, metavar="N", help="take so many frames at once alone (default: any)"
    )
    parser.add_argument(
        "--mask-stride",
        type=int,
        default=1,
        metavar="S",
        help=f"give masks at 1/S of the frames' size, S of {', '.join(map(str, MASK_STRIDES))} "
        "(default: 1)",
    )
    parser.add_argument(
        "--embed-normalisation",
        choices=["on", "off"],
        default="on",
        help="off takes float32 [N, 3, H, W] that is normalised already (default: on)",
    )
    parser.add_argument(
        "--check",
        choices=["tensorrt"],
        help="write a file that TensorRT takes by its documented rules, or say what it would "
        "refuse and write nothing",
    )
    parser.add_argument(
        "--certify",
        action="append",
        metavar="SPEC",
        help="frames to compare file and checkpoint on, e.g. folder:drives/day; may be repeated "
        "(default: generated streets)",
    )
    parser.add_argument(
        "--certify-frames", type=int, default=8, metavar="N", help="how many (default: 8)"
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="where the file runs while it is compared: auto, cpu, cuda or cuda:N (default: cpu)",
    )
    parser.add_argument(
        "--runtime",
        choices=["onnxruntime", "openvino", "openvino-bf16"],
        default="onnxruntime",
        help="what runs it while it is compared (default: onnxruntime)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per core)")
    parser.add_overwrite()
    return parser


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})[xX](\d{1,6})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not HEIGHTxWIDTH, e.g. 512x1024")
    return int(match[1]), int(match[2])


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    if quiet:
        yield lambda _: None
    elif notes.is_terminal:
        with notes.status("starting") as status:
            yield lambda step: status.update(Text(step))
    else:
        yield lambda step: notes.print(step, style="dim", markup=False, soft_wrap=True)
