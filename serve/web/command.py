"""`cfcontra-demo`."""

from __future__ import annotations

from pathlib import Path

from cfcontra.command import Parser, console, notes, set_up_logging

from .flags import add_settings, settings_from

QUICKSTART_MODEL = Path("runs/quickstart/model.onnx")


def run_demo(argv: list[str]) -> None:
    """Open the models, then serve page and REST until Ctrl-C."""
    parser = Parser("demo", "Open a web page, with a REST interface, that segments pictures.")
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="model.pt or exported .onnx, or NAME=FILE; several to choose from "
        f"(default: {QUICKSTART_MODEL}, else a stand-in that is made in seconds)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="(default: 7860)")
    parser.add_device()
    parser.add_runtime()
    add_settings(parser)
    arguments = parser.parse_args(argv)
    set_up_logging(arguments)
    named: list[str] = arguments.models
    if not named:
        named = [_without_a_model()]

    from .log import log_requests
    from .models import Models, name_models, open_model
    from .server import claim_port, serve

    paths = name_models(named)
    settings = settings_from(arguments)
    claimed = claim_port(arguments.host, arguments.port)
    models = Models(
        [
            open_model(
                name,
                path,
                device=arguments.device,
                threads=arguments.threads,
                runtime=arguments.runtime,
                max_batch=settings.max_batch,
                queue=settings.limits.queue,
            )
            for name, path in paths.items()
        ]
    )
    log_requests(settings.log, arguments.verbose)
    serve(models, settings, claimed, lambda url: console.print(f"open {url}   (Ctrl-C ends it)"))


def _without_a_model() -> str:
    """What to serve when nothing was named: the quickstart's model, else a stand-in."""
    if QUICKSTART_MODEL.is_file():
        return str(QUICKSTART_MODEL)
    from .stand_in import NOTE, make_stand_in, stand_in_file

    file = stand_in_file()
    if not file.is_file():
        notes.print("fitting a stand-in for the model …")
        make_stand_in(file)
    notes.print(NOTE, style="yellow", soft_wrap=True)
    return f"stand-in={file}"
