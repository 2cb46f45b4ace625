"""What page and REST have in common while a server runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from .jobs import Jobs
from .models import Models
from .scratch import Scratch
from .settings import Settings
from .sweeper import Sweeper


@dataclass(frozen=True)
class ServerState:
    """One server's models, jobs, files and settings.

    Attributes:
        models: by name.
        settings: limits and access.
        scratch: the private folder.
        jobs: videos on their way.
        sweeper: deletes what is old.
    """

    models: Models
    settings: Settings
    scratch: Scratch
    jobs: Jobs
    sweeper: Sweeper

    @classmethod
    def open(cls, models: Models, settings: Settings, scratch: Scratch) -> ServerState:
        """Begin."""
        jobs = Jobs(scratch, settings.limits)
        kept = settings.limits.kept_seconds
        sweeper = Sweeper(kept, jobs.remove_old, partial(scratch.remove_old, "page"))
        return cls(models, settings, scratch, jobs, sweeper)

    def close(self) -> None:
        """Stop jobs and models; delete all files."""
        self.sweeper.close()
        self.jobs.close()
        self.models.close()
        self.scratch.close()
