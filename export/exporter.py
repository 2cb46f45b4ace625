"""One export: load, build, certify, write; or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from cfcontra.checkpoint import Checkpoint, file_sha256, load_checkpoint
from cfcontra.datasets.base import Sample
from cfcontra.device import resolve_device
from cfcontra.errors import CheckFailedError, InputError
from cfcontra.files import atomic_path, atomic_write_bytes, prepare_output
from cfcontra.interface import Interface
from cfcontra.label_space import LabelSpace
from cfcontra.onnx_content import graph_sha256, serialise
from cfcontra.preprocessing import LARGEST_SIDE, SMALLEST_SIDE
from cfcontra.runtime import Backend, open_backend
from cfcontra.runtime.torch_backend import TorchBackend
from cfcontra.visualize import encode_png

from .calibration import calibration_images, network_inputs
from .certificate import Certificate, certify
from .explain import explain
from .frames import at_sizes, is_synthetic, load_frames, specs_or_synthetic
from .int8 import Activations
from .onnx_file import build_file, describe, export_network
from .precisions import THRESHOLDS, conversions
from .tensorrt_check import Refusal, tensorrt_refusals
from .tensorrt_rules import SOURCE as TENSORRT_RULES
from .worst_frames import WorstFrames

_TOLD = 5  # refusals of TensorRT that are named


def export_model(
    checkpoint_path: Path,
    output: Path | None = None,
    *,
    work_size: tuple[int, int] | None = None,
    certify_specs: Sequence[str] | None = None,
    certify_frames: int = 8,
    precision: str = "fp32",
    calibrate_specs: Sequence[str] | None = None,
    calibrate_frames: int = 32,
    activations: Activations | None = None,
    interface: Interface = Interface(),  # noqa: B008 - frozen
    for_tensorrt: bool = False,
    explained: bool = False,
    device: str = "cpu",
    runtime: str = "onnxruntime",
    threads: int | None = None,
    overwrite: bool = False,
    picture: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """Write `model.pt` as a certified, self-describing ONNX file.

    Args:
        checkpoint_path: the `model.pt`.
        output: the `.onnx` to write; None puts it beside the checkpoint. The certificate
            goes beside it, to `certificate_path(output)`.
        work_size: `(height, width)` the network runs at; None takes the checkpoint's.
        certify_specs: data specs to certify on; None takes generated streets.
        certify_frames: how many frames of them, one of each spec at least.
        precision: `fp32`, `fp16` or `int8`; int8 needs `calibrate_specs`.
        calibrate_specs: data specs of frames as the model will see them. Without them fp16
            looks at the frames it is certified on.
        calibrate_frames: how many frames of them.
        activations: of int8, see `quantise`; None takes `uint8`, or `int8` for TensorRT.
        interface: what the file takes and gives.
        for_tensorrt: write what TensorRT takes by its documented rules, or nothing.
        explained: compare layer by layer, too; the certificate or the error says what was found.
        device: where the exported file runs while it is certified.
        runtime: what runs it then, one of `RUNTIMES` for `.onnx`.
        threads: CPU threads, None for the runtimes' defaults.
        overwrite: replace what is at `output`.
        picture: where the worst frames are drawn when it fails; None takes `worst_path(output)`.
        progress: told about each step.

    Raises:
        InputError: something given cannot be used, or the file cannot be written.
        MissingDependencyError: what should run the file is not installed.
        CheckFailedError: the file departs from the checkpoint; nothing is written.
    """
    resolve_device(device)
    _require_runtime(runtime, device)
    progress(f"loading {checkpoint_path}")
    checkpoint = load_for_export(checkpoint_path, work_size, interface)
    output = output or checkpoint_path.with_suffix(".onnx")
    claim_output(output, overwrite)
    if precision == "int8" and activations is None:
        activations = "int8" if for_tensorrt else "uint8"
    _require_fitting(precision, calibrate_specs, activations)
    reference = TorchBackend(checkpoint, "cpu", threads)
    specs = specs_or_synthetic(certify_specs, certify_frames)
    progress(f"reading {certify_frames} frames of {', '.join(specs)}")
    samples = load_frames(specs, certify_frames, checkpoint.metadata.label_space)
    images = []
    if calibrate_specs:
        progress(f"reading {calibrate_frames} frames of {', '.join(calibrate_specs)}")
        images = calibration_images(calibrate_specs, calibrate_frames, checkpoint.metadata)
    elif precision != "fp32":
        images = network_inputs(samples, checkpoint.metadata.preprocessing)

    progress(
        f"building the graph at {'x'.join(map(str, reference.metadata.preprocessing.work_size))}"
    )
    prototypes = checkpoint.known_prototypes()
    network = export_network(
        checkpoint.model, checkpoint.metadata.preprocessing.work_size, prototypes is not None
    )
    # The file is held to its own limits where nothing but its precision rounds.
    exact = exact_runtime(runtime)
    picture = picture or worst_path(output)
    with (
        atomic_path(certificate_path(output)) as certificate_file,
        atomic_path(output) as onnx_file,
    ):
        for made in conversions(
            network, precision, images, activations or "uint8", threads, progress
        ):
            file = build_file(made.network, checkpoint.metadata, prototypes, for_tensorrt)
            refused = tensorrt_refusals(file)
            if for_tensorrt:
                _require_taken(refused, output)
            describe(file, checkpoint.metadata)
            onnx_file.write_bytes(serialise(file))
            exported = open_backend(onnx_file, device, threads, exact)
            record = {
                "precision": precision,
                **made.record,
                "frames": "synthetic" if is_synthetic(specs) else "given",
                "frame_count": len(samples),
                "graph_sha256": graph_sha256(file),
                "tensorrt": {
                    "rules": TENSORRT_RULES,
                    "refused": len(refused),
                    "first": [str(one) for one in refused[:_TOLD]],
                },
                **exported.describe(),
            }
            worst = WorstFrames()
            limits = THRESHOLDS[precision]
            certificate = certify(reference, exported, samples, record, progress, limits, worst)
            if not certificate.failures():
                break
        said = ""
        if explained:
            progress("comparing layer by layer")
            frame = next(at_sizes(samples[:1], (1, 1), interface))[2][0]
            found = explain(reference, file, network, frame, precision, threads)
            certificate.record["explanation"] = found.to_dict()
            said = f" {found.sentence()}."
        require_passed(certificate, output, picture, worst, checkpoint.metadata.label_space, said)
        if runtime != exact:
            worst = WorstFrames()
            also = certify_in(
                runtime, onnx_file, precision, reference, samples, device, threads, progress, worst
            )
            said = f" It ran in {also.record['runtime']}."
            require_passed(also, output, picture, worst, checkpoint.metadata.label_space, said)
            certificate.record["runtimes"] = {runtime: also.summary()}
        describe(file, replace(checkpoint.metadata, certificate=certificate.summary()))
        onnx_file.write_bytes(serialise(file))
        certificate_file.write_text(json.dumps(certificate.to_dict(), indent=2) + "\n", "utf-8")
    return certificate


def claim_output(output: Path, overwrite: bool) -> None:
    """Make sure that an exported file and its certificate can be written.

    Raises:
        InputError: another suffix than `.onnx`, or something in the way.
    """
    if output.suffix != ".onnx":
        raise InputError(f"{output}: the exported file's name must end in .onnx.")
    prepare_output(output, overwrite)
    prepare_output(certificate_path(output), overwrite)


def _require_runtime(runtime: str, device: str) -> None:
    """Refuse now what would be refused after calibrating for minutes."""
    kind, _, mode = runtime.partition("-")
    if kind == "openvino":
        from cfcontra.runtime.openvino_backend import core_for

        core_for(device, mode or "fp32")


def _require_taken(refused: list[Refusal], output: Path) -> None:
    if refused:
        told = "; ".join(str(one) for one in refused[:_TOLD])
        more = f" and {len(refused) - _TOLD} more" if len(refused) > _TOLD else ""
        raise CheckFailedError(
            f"{output}: not written, because TensorRT would refuse it ({TENSORRT_RULES}): "
            f"{told}{more}."
        )


def _require_fitting(
    precision: str, calibrate_specs: Sequence[str] | None, activations: str | None
) -> None:
    if precision == "int8" and not calibrate_specs:
        raise InputError(
            "--precision int8 needs --calibrate SPEC: frames of the domain that the model is for, "
            "such as video:drives/*.mp4 or folder:PATH. Without real frames its ranges would be "
            "guessed."
        )
    if precision == "fp32" and calibrate_specs:
        raise InputError("--calibrate has no effect on fp32. Leave it out, or ask for int8.")
    if precision != "int8" and activations is not None:
        raise InputError("--activations is for --precision int8 alone.")


def certificate_path(output: Path) -> Path:
    """Where the certificate of an exported file lies."""
    return output.with_name(f"{output.name}.certificate.json")


def load_for_export(
    path: Path, work_size: tuple[int, int] | None, interface: Interface
) -> Checkpoint:
    """The checkpoint, described as its export will be.

    Raises:
        InputError: weights that are not finite, no prototypes for frame scores, or a bad size.
    """
    checkpoint = load_checkpoint(path)
    if "frame_scores" not in interface.outputs:
        checkpoint = replace(checkpoint, prototypes=None)
    elif checkpoint.known_prototypes() is None:
        raise InputError(
            f"{path}: holds no class prototypes, which frame scores are measured by; it was "
            "trained before they were kept. Train or adapt it again, or leave frame_scores out of "
            "--outputs."
        )
    for name, value in checkpoint.model.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"{path}: weight '{name}' holds NaN or infinity; its training diverged. "
                "Export another run."
            )
    preprocessing = checkpoint.metadata.preprocessing
    if work_size is not None:
        preprocessing = replace(preprocessing, work_size=work_size)
    height, width = preprocessing.work_size
    if not SMALLEST_SIDE <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise InputError(
            f"Working size {height}x{width}: height and width must be {SMALLEST_SIDE} to "
            f"{LARGEST_SIDE}."
        )
    metadata = replace(
        checkpoint.metadata,
        preprocessing=preprocessing,
        checkpoint_sha256=file_sha256(path),
        interface=interface,
    )
    return replace(checkpoint, metadata=metadata)


def worst_path(output: Path) -> Path:
    """Where the picture of the worst frames lies when a certificate failed."""
    return output.with_name(f"{output.name}.worst.png")


def exact_runtime(runtime: str) -> str:
    """What runs a file to certify it as it is: not what rounds beyond its precision."""
    return "onnxruntime" if runtime.endswith("bf16") else runtime


def certify_in(
    runtime: str,
    file: Path,
    precision: str,
    reference: Backend,
    samples: Sequence[Sample],
    device: str,
    threads: int | None,
    progress: Callable[[str], None],
    worst: WorstFrames | None = None,
) -> Certificate:
    """Hold what another runtime makes of a file to what its rounding allows.

    Args:
        runtime: one of `RUNTIMES` for `.onnx`.
        precision: of the file.
    """
    backend = open_backend(file, device, threads, runtime)
    limits = THRESHOLDS["int8" if runtime.endswith("bf16") else precision]
    record = {"precision": precision, **backend.describe()}
    return certify(reference, backend, samples, record, progress, limits, worst)


class DepartsError(CheckFailedError):
    """An exported file departs from its checkpoint.

    Attributes:
        reason: how far, without the places of files.
    """

    def __init__(self, output: Path, reason: str, more: str) -> None:
        super().__init__(f"{output}: not written, because {reason}; {more}")
        self.reason = reason


def require_passed(
    certificate: Certificate,
    output: Path,
    picture: Path,
    worst: WorstFrames,
    label_space: LabelSpace,
    said: str = "",
) -> None:
    """Raise a `DepartsError`, and draw the worst frames, where a limit does not hold.

    Where all hold, the picture of an earlier failure goes.

    Args:
        said: what else is known of the failure.
    """
    failures = certificate.failures()
    if failures:
        atomic_write_bytes(picture, encode_png(worst.draw(label_space)))
        reason = (
            f"the exported graph departs from the checkpoint: {'; '.join(failures)}. Worst frame: "
            "{frame} at {size} ({agreement:.4%} agreement)".format(**certificate.worst)
        )
        raise DepartsError(output, reason, f"{picture} shows where.{said}")
    picture.unlink(missing_ok=True)
