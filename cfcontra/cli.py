"""The `cfcontra` command: `cfcontra NAME …` is `cfcontra-NAME …`."""

from __future__ import annotations

import importlib
import sys

from cfcontra import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("cfcontra.train.cli:train", "train a segmenter on a labelled source"),
    "adapt": ("cfcontra.train.cli:adapt", "adapt it to an unlabelled target"),
    "eval": ("cfcontra.train.cli:evaluate", "score a model, with labels or without"),
    "report": ("cfcontra.train.cli:report", "write the page of a finished run"),
    "export": ("cfcontra.export.cli:main", "write a certified, self-describing model file"),
    "segment": ("cfcontra.serve.cli:segment", "segment videos"),
    "demo": ("cfcontra.serve.cli:demo", "open the web demo"),
    "bench": ("cfcontra.export.bench_command:main", "time model files in their runtimes"),
    "doctor": ("cfcontra.export.doctor:main", "try what runs here, and say what mends the rest"),
    "quickstart": ("cfcontra.quickstart:main", "the whole way once, on generated streets"),
}
"""Name → entry point and what it does. The umbrella loads them by name."""


def load_entry_point(target: str) -> object:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    loaded: object = getattr(importlib.import_module(module), attribute)
    return loaded


def main() -> int:
    """Run the sub-command named by the first argument."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"-h", "--help"}:
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
        sys.stdout.write(
            "usage: cfcontra COMMAND [arguments]\n\n"
            + "\n".join(lines)
            + "\n\ncfcontra COMMAND --help tells more.\n"
        )
        return 0
    if arguments[0] == "--version":
        sys.stdout.write(f"cfcontra {__version__}\n")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        from cfcontra.config import nearest_hint

        sys.stderr.write(f"error: unknown command '{name}'.{nearest_hint(name, COMMANDS)}\n")
        return 2
    command = load_entry_point(COMMANDS[name][0])
    assert callable(command)
    status: int = command(arguments[1:])
    return status
