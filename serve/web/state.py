"""What page and REST have in common while a server runs."""

from __future__ import annotations

from dataclasses import dataclass

from .jobs import Jobs
from .models import Models
from .scratch import Scratch
from .settings import Settings


@dataclass(frozen=True)
class ServerState:
    """One server's models, jobs, files and settings.

    Attributes:
        models: by name.
        settings: limits and access.
        scratch: the private folder.
        jobs: videos on their way.
    """

    models: Models
    settings: Settings
    scratch: Scratch
    jobs: Jobs

    @classmethod
    def open(cls, models: Models, settings: Settings, scratch: Scratch) -> ServerState:
        """Begin."""
        return cls(models, settings, scratch, Jobs(scratch, settings.limits))

    def close(self) -> None:
        """Stop jobs and models; delete all files."""
        self.jobs.close()
        self.models.close()
        self.scratch.close()
