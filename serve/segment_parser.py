"""The arguments of `cfcontra-segment`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cfcontra.command import Parser, read_size
from cfcontra.preprocessing import LARGEST_SIDE, SMALLEST_SIDE

from .segment_live_arguments import add_live_arguments


def parser() -> Parser:
    """The command's parser."""
    parser = Parser(
        "segment",
        "Take videos through a model. Writes them with the model's classes coloured over them, as "
        "H.264 MP4 that browsers play, with timestamps, rotation and sound kept; or masks, as "
        "video, pictures or text.",
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="video files, patterns, folders of videos or of pictures, a camera (0, /dev/video0), "
        "RTSP and HTTP streams, or - for standard input",
    )
    parser.add_argument("--model", type=Path, required=True, help="model.pt, .onnx or .engine")
    _add_results(parser)
    _add_speed(parser)
    add_live_arguments(parser)
    parser.add_device()
    parser.add_runtime()
    return parser


def _add_results(parser: Parser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument(
        "--output",
        metavar="PATH",
        help="file for one result, folder for several, - for standard output (default: beside "
        "each source)",
    )
    group.add_argument(
        "--write",
        default="overlay",
        metavar="KINDS",
        help="what to write, separated by commas: overlay, side-by-side and mask are videos, png "
        "indexed pictures of masks, jsonl lines with masks and figures; or none (default: overlay)",
    )
    group.add_argument(
        "--opacity",
        type=float,
        metavar="SHARE",
        help="of the class colours, 0 to 1 (default: 0.5)",
    )
    group.add_argument(
        "--codec",
        metavar="NAME",
        help="video encoder, e.g. libx265, libsvtav1, h264_nvenc (default: libx264)",
    )
    parser.add_overwrite(group)
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with a job that was interrupted: pass over results that are there, whatever "
        "their settings, and continue in the middle of what is unfinished",
    )
    raw = parser.add_argument_group("raw frames and pictures")
    raw.add_argument(
        "--raw",
        metavar="WxH",
        help="standard input holds raw frames of this size (default: a video stream)",
    )
    raw.add_argument(
        "--pixels",
        choices=["rgb24", "bgr24", "gray", "yuv420p", "nv12"],
        help="layout of raw frames on standard input and output (default: rgb24)",
    )
    raw.add_argument(
        "--rate",
        metavar="FPS",
        help="of raw frames and of pictures, e.g. 30000/1001 (default: 25)",
    )


def _add_speed(parser: Parser) -> None:
    group = parser.add_argument_group("speed")
    group.add_argument(
        "--batch", type=int, metavar="N", help="frames per inference (default: 1, on a GPU 8)"
    )
    group.add_argument(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="ask the model about every Nth frame; the others get the last mask (default: 1)",
    )
    group.add_argument(
        "--hwaccel",
        metavar="NAME",
        help="hardware that decodes, by FFmpeg's name, e.g. cuda or qsv (default: the CPU)",
    )
    group.add_argument(
        "--half",
        action="store_true",
        help="compute in 16 bits where the runtime can: of a model.pt, or with --runtime openvino",
    )
    group.add_argument(
        "--work-size",
        type=_work_size,
        metavar="HxW",
        help="size that the network of a model.pt sees (default: the one it was trained at)",
    )


def _work_size(text: str) -> tuple[int, int]:
    size = read_size(text)
    if size is not None and min(size) >= SMALLEST_SIDE and max(size) <= LARGEST_SIDE:
        return size
    raise argparse.ArgumentTypeError(
        f"'{text}' is not HEIGHTxWIDTH, e.g. 288x512, each {SMALLEST_SIDE} to {LARGEST_SIDE}"
    )
