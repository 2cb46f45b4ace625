"""Where a run's figures go: CSV and TensorBoard always, a tracking service on request."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from lightning.pytorch import loggers
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from cfcontra.errors import InputError

SERVICES = {"wandb": "WandbLogger", "mlflow": "MLFlowLogger", "comet": "CometLogger"}
"""Name, which is also the package's, and Lightning's class for it."""
_PACKAGES = {"comet": "comet_ml"}


def build_loggers(folder: Path, services: list[str], settings: dict[str, Any]) -> list[Any]:
    """Loggers of a run.

    A service is set up as its own documentation says, by its environment variables
    (`WANDB_MODE`, `MLFLOW_TRACKING_URI`, `COMET_API_KEY`, …).

    Args:
        folder: of the run.
        services: of `SERVICES`.
        settings: what the run is, noted with its figures.

    Raises:
        InputError: a service that does not start.
    """
    found: list[Any] = [
        CSVLogger(folder, name="", version="logs", flush_logs_every_n_steps=50),
        TensorBoardLogger(folder, name="", version="logs"),
    ]
    for service in services:
        logs = str(folder / "logs")
        options: dict[str, dict[str, Any]] = {
            "wandb": {"project": "cfcontra", "name": folder.name, "save_dir": logs},
            "mlflow": {"experiment_name": "cfcontra", "run_name": folder.name},
            "comet": {"project": "cfcontra", "name": folder.name},
        }
        try:
            logger = getattr(loggers, SERVICES[service])(**options[service])
            logger.log_hyperparams(settings)
        except Exception as error:  # each service raises errors of its own
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(f"--logger {service}: it did not start ({reason}).") from error
        found.append(logger)
    return found


def require_package(service: str) -> None:
    """Refuse a service whose package is not installed.

    Raises:
        InputError: which one to install.
    """
    package = _PACKAGES.get(service, service)
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f"--logger {service}: the package {package} does not load ({error}). "
            f"Install it: pip install {package}"
        ) from error
