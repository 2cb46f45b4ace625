"""`--ray`: the sources of a job spread over the machines of a Ray cluster."""

from __future__ import annotations

import argparse
import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cfcontra.errors import CfcontraError, InputError, MissingDependencyError, system_reason

from .segment_model import ModelChoice, open_model

if TYPE_CHECKING:
    from cfcontra.runtime import Backend

    from .video.job import Task
    from .video.sources import SourceOptions

_LOG = logging.getLogger(__name__)
_TRIES = 3  # more attempts at a source whose worker or machine has died
_THREADS = 4  # of a source, unless --threads says otherwise or machines are smaller
_CONNECTING = 10.0  # seconds
_GOODBYE = 60.0  # seconds for workers to complete their files in after Ctrl-C

_Note = tuple[int, str]  # level and text of a log record


def spread(
    arguments: argparse.Namespace,
    kinds: tuple[str, ...],
    options: SourceOptions,
    tasks: list[Task],
) -> Iterator[tuple[str, str | None]]:
    """Segment each source in a Ray task; those that are through first come first.

    A source whose worker dies is done again from its start, elsewhere if need be, over
    whatever it left. Model, sources and outputs must be at the same paths on every machine.

    Args:
        arguments: of the command.
        kinds: of results.
        options: how sources are read.
        tasks: what to segment into what.

    Yields:
        what to say of a source, and why it failed, None if it did not.

    Raises:
        InputError: there is no cluster at the address.
        MissingDependencyError: Ray is not installed.
    """
    ready, refused = _prepared(tasks, arguments)
    yield from (("", reason) for reason in refused)
    if not ready:
        return
    ray = _connected(arguments.ray)
    pending: dict[Any, Task] = {}
    try:
        work, arguments, options = _remote(ray, arguments, options)
        for task in ready:
            pending[work.remote(arguments, kinds, options, _absolute(task))] = task
        while pending:
            (done,), _ = ray.wait(list(pending), num_returns=1)
            yield _outcome(ray, done, pending.pop(done))
    finally:
        _cancel(ray, list(pending))
        ray.shutdown()


def _prepared(tasks: list[Task], arguments: argparse.Namespace) -> tuple[list[Task], list[str]]:
    """Tasks that may be started, and why the others may not.

    Looked at here, as a worker cannot tell a file of yours from one that an attempt before it
    has finished; workers overwrite.
    """
    from .video.checks import refuse_existing

    if arguments.overwrite or arguments.resume:
        return tasks, []
    ready: list[Task] = []
    refused: list[str] = []
    for task in tasks:
        try:
            refuse_existing(task.outputs.values())
        except InputError as error:
            refused.append(str(error))
        else:
            ready.append(task)
    return ready, refused


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "--ray: Ray is not installed here. pip install 'cfcontra[ray]'"
        ) from error
    dashboard = False if address == "local" else None
    try:
        _knock(address)
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            include_dashboard=dashboard,
        )
    except Exception as error:  # Ray raises plain ones, too
        lines = system_reason(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0].rstrip(".")
        raise InputError(
            f"--ray {address}: no cluster can be reached there ({reason}). Start one with "
            "'ray start --head' and give auto, HOST:PORT or ray://HOST:PORT; or use --ray local."
        ) from error
    return ray


def _knock(address: str) -> None:
    """Ray itself tries for minutes where nobody listens."""
    place = re.fullmatch(r"(?:ray://)?(.+):(\d+)", address)
    if place is not None:
        socket.create_connection((place[1], int(place[2])), timeout=_CONNECTING).close()


def _remote(
    ray: Any, arguments: argparse.Namespace, options: SourceOptions
) -> tuple[Any, argparse.Namespace, SourceOptions]:
    """The function that workers run, with what one source takes, and its arguments."""
    stays = arguments.device == "auto" and arguments.runtime.startswith("openvino")
    on_cpu = arguments.device == "cpu" or stays  # OpenVINO takes no CUDA
    gpus = 0 if on_cpu else int(ray.cluster_resources().get("GPU", 0))
    if arguments.device.startswith("cuda") and not gpus:
        raise InputError(f"--device {arguments.device}: the Ray cluster has no GPU.")
    threads = _cores(ray.nodes(), arguments.threads, bool(gpus))
    sent = copy(arguments)
    sent.model = arguments.model.absolute()
    sent.threads, sent.overwrite = threads, not arguments.resume
    sent.device = "cuda" if gpus else "cpu"  # the one that Ray gives the worker
    work = ray.remote(
        num_cpus=threads, num_gpus=1 if gpus else 0, max_retries=_TRIES, retry_exceptions=False
    )(_segment_one)
    return work, sent, replace(options, threads=threads)


def _cores(nodes: list[dict[str, Any]], asked: int | None, with_gpu: bool) -> int:
    """What one source takes on the machines that can take one."""
    if asked is not None and asked < 1:
        raise InputError(f"--threads {asked}: give 1 or more.")
    living = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(has.get("CPU", 0)) for has in living if not with_gpu or has.get("GPU", 0) >= 1]
    usable = [count for count in cores if count >= 1]  # a head may keep its cores to itself
    if not usable:
        _LOG.warning("--ray: no machine of the cluster offers cores yet; waiting for one.")
        return asked or _THREADS
    if asked is not None and asked > max(usable):
        raise InputError(
            f"--threads {asked}: the largest machine of the Ray cluster"
            f"{' with a GPU' if with_gpu else ''} offers {max(usable)} cores."
        )
    return asked or min(_THREADS, *usable)


def _absolute(task: Task) -> Task:
    found = replace(
        task.found,
        source=task.source.absolute(),
        pictures=tuple(path.absolute() for path in task.found.pictures),
    )
    return replace(
        task,
        found=found,
        outputs={kind: path.absolute() for kind, path in task.outputs.items()},
    )


def _segment_one(
    arguments: argparse.Namespace,
    kinds: tuple[str, ...],
    options: SourceOptions,
    task: Task,
) -> tuple[str, str | None, list[_Note]]:
    """Runs in a worker. Faults of the source come back as text; only a worker's death raises."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from .segment_command import SegmentJob

    with _notes_taken() as taken:
        try:
            backend = _backend(ModelChoice.of(arguments))
            return SegmentJob(arguments, kinds, options, [task]).run_one(backend), None, taken
        except CfcontraError as error:
            return "", str(error), taken
        except Exception as error:  # noqa: BLE001 - the other sources go on, as in one process
            reason = f"{type(error).__name__}: {system_reason(error)}"
            return "", f"{task.found.name}: {reason}", taken


@contextmanager
def _notes_taken() -> Iterator[list[_Note]]:
    """What the package says within the block, with its level: nobody reads a worker's own log."""
    taken: list[_Note] = []

    class Taking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            taken.append((record.levelno, record.getMessage()))

    logger, handler = logging.getLogger("cfcontra"), Taking()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield taken
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@lru_cache(maxsize=1)
def _backend(choice: ModelChoice) -> Backend:
    """Kept from one source to the next: Ray uses its workers again."""
    return open_model(choice)


def _outcome(ray: Any, done: Any, task: Task) -> tuple[str, str | None]:
    try:
        line, failure, taken = ray.get(done)
    except ray.exceptions.RayError as error:
        _LOG.debug("%s", task.found.name, exc_info=True)
        reason = type(error).__name__
        return "", f"{task.found.name}: its worker died {_TRIES + 1} times ({reason})."
    for level, text in taken:  # as in one process: --quiet leaves out what it leaves out there
        _LOG.log(level, "%s", _as_typed(text, task))
    return _as_typed(line, task), None if failure is None else _as_typed(failure, task)


def _as_typed(text: str, task: Task) -> str:
    for path in (task.source, *task.outputs.values()):
        text = text.replace(str(path.absolute()), str(path))
    return text


def _cancel(ray: Any, pending: list[Any]) -> None:
    """Let workers complete what they have, as Ctrl-C does here."""
    if not pending:
        return
    for reference in pending:
        ray.cancel(reference)
    ray.wait(pending, num_returns=len(pending), timeout=_GOODBYE)
