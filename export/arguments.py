"""The options of `cfcontra-export`, and which go together."""

from __future__ import annotations

import argparse
from pathlib import Path

from cfcontra.command import Parser, read_size
from cfcontra.errors import InputError
from cfcontra.interface import ALWAYS, MASK_STRIDES, OUTPUTS

_PRECISIONS = ("fp32", "fp16", "int8", "auto")


def require_fitting(arguments: argparse.Namespace) -> None:
    """Raise an `InputError` for options that have no effect together, or no batch."""
    if arguments.precision != "auto" and arguments.max_drop is not None:
        raise InputError("--max-drop is for --precision auto alone.")
    engine = "tensorrt" in (arguments.format, arguments.inside)
    for option, given, fits, what in (
        ("--name", arguments.name, arguments.format == "triton", "triton"),
        ("--inside", arguments.inside, arguments.format == "triton", "triton"),
        ("--max-batch", arguments.max_batch, arguments.format != "onnx", "triton and tensorrt"),
        ("--version-compatible", arguments.version_compatible or None, engine, "tensorrt"),
        ("--hardware-compatible", arguments.hardware_compatible or None, engine, "tensorrt"),
        ("--timing-cache", arguments.timing_cache, engine, "tensorrt"),
    ):
        if given is not None and not fits:
            raise InputError(f"{option} is for --format {what} alone.")
    if engine and arguments.runtime is not None:
        raise InputError("--runtime: an engine runs in TensorRT alone. Leave it out.")
    if arguments.format == "triton" and arguments.runtime not in (None, "onnxruntime"):
        raise InputError("--runtime: Triton runs the file in onnxruntime. Leave it out.")
    if engine and arguments.precision == "auto":
        raise InputError("--precision auto times ONNX files; name the precision of an engine.")
    if engine and arguments.size is None:
        raise InputError("A TensorRT engine takes one size of frames: give it with --size HxW.")
    if arguments.max_batch is not None and arguments.max_batch < 1:
        raise InputError(f"--max-batch {arguments.max_batch}: give 1 or more.")
    if arguments.batch is not None and arguments.max_batch is not None:
        raise InputError("--max-batch: a file of a fixed --batch takes no other. Leave one out.")


def make_parser() -> Parser:
    """The parser of `cfcontra-export`."""
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
        choices=["onnx", "tensorrt", "triton"],
        default="onnx",
        help="one file, an engine for this GPU, or a model repository of Triton Inference Server "
        "(default: onnx)",
    )
    parser.add_argument(
        "--inside",
        choices=["onnx", "tensorrt"],
        help="what Triton opens, the file or an engine for this GPU (default: onnx)",
    )
    parser.add_argument("--name", help="of the model in Triton (default: the run's)")
    parser.add_argument(
        "--max-batch",
        type=int,
        metavar="N",
        help="frames that Triton may join, or an engine takes (default: 8)",
    )
    parser.add_argument(
        "--version-compatible", action="store_true", help="an engine for later TensorRTs, too"
    )
    parser.add_argument(
        "--hardware-compatible",
        action="store_true",
        help="an engine for other GPUs of Ampere's generation and later, too",
    )
    parser.add_argument(
        "--timing-cache",
        type=Path,
        metavar="FILE",
        help="what earlier builds of engines measured (default: kept in the user's cache)",
    )
    parser.add_argument(
        "--precision",
        type=_precision,
        metavar="{" + ",".join(_PRECISIONS) + "}",
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
        "--explain",
        action="store_true",
        help="compare layer by layer, too, and name where the file departs from the checkpoint",
    )
    parser.add_argument(
        "--device",
        help="where the file runs while it is compared: auto, cpu, cuda or cuda:N (default: cpu; "
        "of an engine auto)",
    )
    parser.add_argument(
        "--runtime",
        choices=["onnxruntime", "openvino", "openvino-bf16"],
        help="what runs it while it is compared (default: onnxruntime; auto tries all)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: one per core)")
    parser.add_overwrite()
    return parser


def _size(text: str) -> tuple[int, int]:
    size = read_size(text)
    if size is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not HEIGHTxWIDTH, e.g. 512x1024")
    return size


def _precision(text: str) -> str:
    if text == "bf16":
        raise argparse.ArgumentTypeError(
            "bf16 is a runtime's choice, not a file's: export fp32 and run it with --runtime "
            "openvino-bf16, or the model.pt with torch-bf16"
        )
    if text not in _PRECISIONS:
        raise argparse.ArgumentTypeError(
            f"invalid choice: '{text}' (choose from {', '.join(_PRECISIONS)})"
        )
    return text
