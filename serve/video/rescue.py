"""What stays of a source that comes but once when something ends its recording."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from .pipeline import Run, StoppedError
from .work import WorkFolder

_LOG = logging.getLogger(__name__)


@contextmanager
def rescued(run: Run, work: WorkFolder) -> Iterator[None]:
    """Where an error ends the block, keep what the sinks have written, and say where.

    Nothing is kept if there is nothing yet, if all of it has its name already, as after Ctrl-C,
    or if the run was stopped by who had started it.

    Args:
        run: called in the block.
        work: where its sinks write; left by this if something is kept.
    """
    try:
        yield
    except StoppedError:
        raise
    except BaseException:
        if run.frames and not run.complete:
            _keep(run, work)
        raise


def _keep(run: Run, work: WorkFolder) -> None:
    for sink in run.sinks:
        try:
            sink.checkpoint()  # encoders hold frames back
        except Exception:  # noqa: BLE001 - the error that ends the run is the one to be told of
            _LOG.debug("%s", sink.name, exc_info=True)
        sink.discard()
    # Said even with --quiet: nobody can make it again.
    _LOG.error("%s: holds what was recorded, %d frames at most.", work.set_aside(), run.frames)
