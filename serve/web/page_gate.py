"""Which of Gradio's paths a visitor can reach: those the page needs, and no others.

Gradio offers more than a page asks for: a proxy to other hosts, files by URL, its own API
and its description, component code, monitoring, deep links, logins. What is not named here is
answered by the REST interface, which does not know it.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_GET = re.compile(
    r"""/ | /config/? | /theme\.css | /favicon\.ico | /robots\.txt
    | /(assets|static|ui)/[\w./@-]+
    | /gradio_api/(
        queue/data | queue/status | upload_progress | startup-events | app_id | theme\.css
        | heartbeat/\w+
        | file=(?![A-Za-z][A-Za-z0-9+.-]*:).+
    )""",
    re.VERBOSE,
)
_POST = re.compile(
    r"""/gradio_api/(upload | queue/join | cancel | reset/?)""",
    re.VERBOSE,
)


class PageGate:
    """Sends the page's requests to the page, and everything else to the API.

    Args:
        api: answers everything the page does not need.
        page: Gradio's application.
    """

    def __init__(self, api: ASGIApp, page: ASGIApp) -> None:
        self._api, self._page = api, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_page(scope):
            await self._api(scope, receive, send)
            return
        scope.setdefault("state", {})["part"] = "page"
        await self._page(scope, receive, send)


def _is_page(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if scope["method"] in ("GET", "HEAD"):
        return _GET.fullmatch(path) is not None
    return scope["method"] == "POST" and _POST.fullmatch(path) is not None
