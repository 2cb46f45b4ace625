"""What every request passes through before page or REST see it."""

from __future__ import annotations

from starlette.types import ASGIApp

from ..metrics import Metrics
from ..scratch import Scratch
from ..settings import Settings
from .access import Access
from .bodies import Bodies
from .headers import SecurityHeaders
from .hosts import Hosts
from .lingering import Lingering
from .requests import Requests


def guard(app: ASGIApp, settings: Settings, scratch: Scratch, metrics: Metrics) -> ASGIApp:
    """Wrap an application; the last named sees a request first."""
    app = Bodies(app, settings.limits, scratch)
    app = Access(app, settings.secrets)
    app = Hosts(app, settings.hosts)
    app = SecurityHeaders(app)
    app = Requests(app, metrics)
    return Lingering(app)
