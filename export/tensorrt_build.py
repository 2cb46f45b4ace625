"""An ONNX graph to a TensorRT engine, with the 11.x API.

Written against the published bindings of TensorRT 11.4; not run on a GPU yet.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.errors import CheckFailedError, InputError
from cfcontra.files import atomic_write_bytes, prepare_output
from cfcontra.runtime.tensorrt_backend import import_tensorrt
from cfcontra.runtime.tensorrt_sidecar import EngineKey

if TYPE_CHECKING:
    import onnx
    import tensorrt

_LOG = logging.getLogger(__name__)


def build_engine(file: onnx.ModelProto, key: EngineKey, timing_cache: Path) -> bytes:
    """Build an engine; precision is the graph's, for the network is strongly typed.

    Args:
        file: exported file of a fixed size, which TensorRT takes.
        key: what to build: batches and compatibility.
        timing_cache: what earlier builds measured; read where there is one, and written where
            that can be done.

    Raises:
        CheckFailedError: TensorRT refuses the graph.
        MissingDependencyError: TensorRT is not installed.
    """
    import_tensorrt()
    import tensorrt

    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(
        1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    )
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(file.SerializeToString()):
        raise CheckFailedError(f"TensorRT refuses the graph: {_first_error(parser)}.")
    config = builder.create_builder_config()
    # TF32 rounds float32 products to 10 bits, which the certificate of fp32 does not allow.
    config.clear_flag(tensorrt.BuilderFlag.TF32)
    if key.version_compatible:
        config.set_flag(tensorrt.BuilderFlag.VERSION_COMPATIBLE)
    if key.hardware_compatible:
        level = tensorrt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.hardware_compatibility_level = level
    _add_profile(builder, config, file, key.batches)
    cache = _timings(config, timing_cache)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise CheckFailedError("TensorRT could not build an engine; its log above says why.")
    if cache is not None:
        try:
            prepare_output(timing_cache, overwrite=True)
            atomic_write_bytes(timing_cache, bytes(cache.serialize()))
        except InputError as error:  # the engine stands without
            _LOG.warning("The next build measures again: %s", error)
    return bytes(engine)


def default_timing_cache(key: EngineKey) -> Path:
    """Where timings are kept between builds: in the user's cache, by version and GPU."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    gpu = "".join(c if c.isalnum() else "-" for c in key.gpu)
    return root / "cfcontra" / f"tensorrt-{key.tensorrt}-{gpu}.timing"


def _timings(config: tensorrt.IBuilderConfig, path: Path) -> tensorrt.ITimingCache | None:
    """What earlier builds measured, or an empty cache where that cannot be used; set already."""
    try:
        known = path.read_bytes()
    except OSError:
        known = b""
    for content in (known, b"") if known else (b"",):
        cache = config.create_timing_cache(content)
        # None of damaged bytes; not set if of another device or version.
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _add_profile(
    builder: tensorrt.Builder,
    config: tensorrt.IBuilderConfig,
    file: onnx.ModelProto,
    batches: tuple[int, int, int],
) -> None:
    """Frames by `batches`; everything else about them is fixed."""
    dims = [dim.dim_value for dim in file.graph.input[0].type.tensor_type.shape.dim]
    if dims[0]:
        return  # the number of frames is fixed, too
    shapes = [(count, *dims[1:]) for count in batches]
    profile = builder.create_optimization_profile()
    profile.set_shape("frames", shapes[0], shapes[1], shapes[2])
    config.add_optimization_profile(profile)


def _first_error(parser: tensorrt.OnnxParser) -> str:
    if not parser.num_errors:
        return "it does not say why"
    error = parser.get_error(0)
    return f"{error.node_name()} ({error.node_operator()}): {error.desc()}"
