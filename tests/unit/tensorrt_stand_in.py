"""A stand-in for TensorRT, made from the published signatures of its bindings."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
STUB = ROOT / "typings" / "tensorrt.pyi"


def published() -> dict[str, dict[str, list[inspect.Signature] | None]]:
    """Class → member → its signatures, or None for an attribute."""
    found: dict[str, dict[str, list[inspect.Signature] | None]] = {}

    def read(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if not isinstance(node, ast.ClassDef):
                continue
            members = found.setdefault(node.name, {})
            for base in node.bases:
                members |= found.get(ast.unparse(base), {})
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    members[part.name] = [*(members.get(part.name) or []), _signature(part)]
                elif isinstance(part, ast.AnnAssign):
                    members[ast.unparse(part.target)] = None
                elif isinstance(part, ast.Assign):
                    members[ast.unparse(part.targets[0])] = None
            read(node.body, f"{prefix}{node.name}.")

    read(ast.parse(STUB.read_text()).body, "")
    return found


def _signature(function: ast.FunctionDef) -> inspect.Signature:
    text = ast.unparse(function.args).replace("self, ", "").removeprefix("self")
    scope: dict[str, Any] = {}
    exec(f"from __future__ import annotations\ndef f({text}): ...", scope)
    return inspect.signature(scope["f"])


PUBLISHED = published()


class StandIn:
    """An object of the bindings: known calls with fitting arguments only, each written down."""

    def __init__(self, kind: str, calls: list[str], results: dict[str, Any]) -> None:
        object.__setattr__(self, "_of", (kind, calls, results))

    def __getattr__(self, name: str) -> Any:
        kind, calls, results = self._of
        assert name in PUBLISHED[kind], f"{kind} has no {name}"
        signatures = PUBLISHED[kind][name]
        if signatures is None:
            return results[f"{kind}.{name}"]

        def call(*given: Any, **named: Any) -> Any:
            assert _binds(signatures, given, named), f"{kind}.{name}{given}"
            calls.append(f"{kind}.{name}")
            result = results.get(f"{kind}.{name}", True)
            if callable(result):
                result = result(*given, **named)
            return StandIn(result[1:], calls, results) if str(result).startswith("→") else result

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        kind, calls, _ = self._of
        assert PUBLISHED[kind].get(name, ...) is None, f"{kind} has no attribute {name}"
        calls.append(f"{kind}.{name} = {value}")

    def __bytes__(self) -> bytes:
        kind, _, results = self._of
        return bytes(results.get(f"{kind}.bytes", b"bytes of " + kind.encode()))


def _binds(signatures: list[inspect.Signature], given: Any, named: Any) -> bool:
    for signature in signatures:
        try:
            signature.bind(*given, **named)
        except TypeError:
            continue
        return True
    return False


def stand_in(calls: list[str], **results: Any) -> types.ModuleType:
    known: dict[str, Any] = {
        "Builder.create_network": "→INetworkDefinition",
        "Builder.create_builder_config": "→IBuilderConfig",
        "Builder.create_optimization_profile": "→IOptimizationProfile",
        "Builder.build_serialized_network": "→IHostMemory",
        "IBuilderConfig.create_timing_cache": "→ITimingCache",
        "ITimingCache.serialize": b"bytes of ITimingCache",
        "OnnxParser.get_error": "→ParserError",
        "OnnxParser.num_errors": 1,
        "ParserError.desc": "no kernel",
        "ParserError.node_name": "the node",
        "ParserError.node_operator": "Fold",
        **{key.replace("__", "."): value for key, value in results.items()},
    }
    module = types.ModuleType("tensorrt")
    module.__version__ = "11.4.0.106"  # type: ignore[attr-defined]
    for kind, members in PUBLISHED.items():
        if kind[0] == "I" or ("__init__" not in members and None in members.values()):
            values = {name: number for number, name in enumerate(members)}
            setattr(module, kind, types.SimpleNamespace(**values))
            continue

        def make(*given: Any, kind: str = kind) -> StandIn:
            signatures = PUBLISHED[kind]["__init__"]
            assert signatures is not None and _binds(signatures, given, {}), f"{kind}{given}"
            return StandIn(kind, calls, known)

        for name in members:
            setattr(make, name, name)
        setattr(module, kind, make)
    return module
