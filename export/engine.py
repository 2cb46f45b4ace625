"""`--format tensorrt`: a certified engine with its sidecar, built anew where it is stale."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from cfcontra.checkpoint import file_sha256
from cfcontra.device import resolve_device
from cfcontra.errors import InputError
from cfcontra.files import atomic_path, prepare_output
from cfcontra.interface import Interface
from cfcontra.metadata import ModelMetadata
from cfcontra.onnx_content import graph_sha256, read_metadata
from cfcontra.runtime.tensorrt_backend import TensorRtBackend, import_tensorrt
from cfcontra.runtime.tensorrt_sidecar import EngineKey, Sidecar, read_sidecar, sidecar_path
from cfcontra.runtime.torch_backend import TorchBackend

from .certificate import Certificate, certify
from .exporter import certificate_path, export_model, load_for_export, require_passed, worst_path
from .frames import frames_sha256, load_frames, specs_or_synthetic
from .precisions import THRESHOLDS
from .tensorrt_build import build_engine, default_timing_cache
from .worst_frames import WorstFrames


def export_engine(
    checkpoint_path: Path,
    output: Path,
    *,
    interface: Interface,
    precision: str,
    max_batch: int = 8,
    version_compatible: bool = False,
    hardware_compatible: bool = False,
    timing_cache: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    picture: Path | None = None,
    work_size: tuple[int, int] | None = None,
    certify_specs: Sequence[str] | None = None,
    certify_frames: int = 8,
    progress: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> tuple[Certificate, bool]:
    """Write `model.pt` as an engine for this machine, its sidecar and its certificate.

    The graph is exported and certified first; then the engine built from it is certified itself.
    An engine at `output` that is still what would be built is kept, and certified again where that
    would say something else; one that another TensorRT or GPU has made stale is replaced.

    Args:
        interface: must have a size.
        max_batch: most frames at once, where the interface leaves their number open.
        picture: as of `export_model`.
        version_compatible, hardware_compatible: see `EngineKey`.
        timing_cache: None keeps one in the user's cache.
        options: further ones of `export_model`.

    Returns:
        The engine's certificate, and whether the engine that lay there was kept.

    Raises:
        InputError: no size, no GPU, something in the way, or what `export_model` says.
        MissingDependencyError: TensorRT is not installed.
        CheckFailedError: the graph or the engine departs from the checkpoint, or is refused.
    """
    if interface.size is None:
        raise InputError("--format tensorrt needs --size HxW: an engine takes one size of frames.")
    if output.suffix != ".engine":
        raise InputError(f"{output}: the engine's name must end in .engine.")
    import_tensorrt()
    import tensorrt
    import torch

    where = resolve_device(device)
    if where.type != "cuda":
        raise InputError("--format tensorrt needs a CUDA GPU here: engines are built on theirs.")
    most = interface.batch or max_batch
    key = EngineKey(
        "",  # known when it is exported
        tensorrt.__version__,
        torch.cuda.get_device_name(where),
        (interface.batch or 1, most, most),
        version_compatible,
        hardware_compatible,
    )
    found = None if overwrite else _found(output)
    if found is not None:
        known = found.sidecar.key
        _require_same(known, replace(key, graph_sha256=known.graph_sha256), output)
    picture = picture or worst_path(output)
    for path in (output, sidecar_path(output), certificate_path(output)):
        prepare_output(path, overwrite or found is not None)
    with tempfile.TemporaryDirectory(prefix=".cfcontra-", dir=output.parent) as name:
        path = Path(name) / "model.onnx"
        certificate = export_model(
            checkpoint_path,
            path,
            work_size=work_size,
            interface=interface,
            precision=precision,
            for_tensorrt=True,
            certify_specs=certify_specs,
            certify_frames=certify_frames,
            threads=threads,
            picture=picture,
            progress=progress,
            **options,
        )
        file, metadata = onnx.load(path), read_metadata(path)
    key = replace(key, graph_sha256=graph_sha256(file))
    specs = specs_or_synthetic(certify_specs, certify_frames)
    samples = load_frames(specs, certify_frames, metadata.label_space)
    record = {
        **certificate.record,
        "format": "tensorrt",
        "frames_sha256": frames_sha256(samples),
    }
    kept = False
    if found is not None:
        _require_same(found.sidecar.key, key, output)
        kept = found.sidecar.key == key
        current = found.current(metadata, record) if kept else None
        if current is not None:
            return current, True
    if kept and not key.version_compatible:  # whose code is run only if it was built right here
        engine = output.read_bytes()
    else:
        kept = False
        progress(f"building an engine on {key.gpu}")
        with torch.cuda.device(where):
            engine = build_engine(file, key, timing_cache or default_timing_cache(key))
    reference = TorchBackend(load_for_export(checkpoint_path, work_size, interface), "cpu", threads)
    with (
        atomic_path(certificate_path(output)) as certificate_file,
        atomic_path(sidecar_path(output)) as sidecar_file,
        atomic_path(output) as engine_file,
    ):
        engine_file.write_bytes(engine)
        beside = sidecar_path(engine_file)
        sidecar = Sidecar(key, file_sha256(engine_file), metadata)
        try:
            beside.write_text(sidecar.to_json(), "utf-8")
            backend = TensorRtBackend(engine_file, str(where), trusted=not kept)
            record |= backend.describe()
            worst = WorstFrames()
            limits = THRESHOLDS[precision]
            certificate = certify(reference, backend, samples, record, progress, limits, worst)
            require_passed(certificate, output, picture, worst, metadata.label_space)
            described = replace(metadata, certificate=certificate.summary())
            sidecar_file.write_text(replace(sidecar, metadata=described).to_json(), "utf-8")
        finally:
            beside.unlink(missing_ok=True)
        certificate_file.write_text(json.dumps(certificate.to_dict(), indent=2) + "\n", "utf-8")
    return certificate, kept


@dataclass(frozen=True)
class _Found:
    """An engine of cfcontra's; its certificate is None where that is another's, or has failed."""

    sidecar: Sidecar
    certificate: Certificate | None

    def current(self, metadata: ModelMetadata, record: dict[str, Any]) -> Certificate | None:
        """Its certificate, if it was described and certified as it would be today.

        Args:
            metadata: of the sidecar, but for the certificate.
            record: of the certificate, but for where the engine ran.
        """
        if self.certificate is None:
            return None
        then = self.certificate.record
        ran = {name: then.get(name) for name in ("runtime", "device")}
        same = (
            replace(self.sidecar.metadata, certificate={}) == replace(metadata, certificate={})
            and then == {**json.loads(json.dumps(record)), **ran}
            and self.certificate.thresholds == THRESHOLDS[then["precision"]]
        )
        return self.certificate if same else None


def _found(output: Path) -> _Found | None:
    """The engine at `output`, if all that lies there is cfcontra's."""
    try:
        sidecar = read_sidecar(output)
        said = json.loads(certificate_path(output).read_text("utf-8"))
        certificate = Certificate.from_dict(said)
        summary = certificate.summary()
    except (InputError, OSError, LookupError, TypeError, ValueError, RecursionError):
        return None
    own = summary["passed"] and summary == sidecar.metadata.certificate
    return _Found(sidecar, certificate if own else None)


def _require_same(found: EngineKey, key: EngineKey, output: Path) -> None:
    """Make sure that an engine is what would be built, or was before the machine changed.

    Raises:
        InputError: it is another.
    """
    if found != key and not found.made_stale_by(key):
        raise InputError(
            f"{output}: exists already, built from another model, precision or options. Use "
            "--overwrite to replace it."
        )
