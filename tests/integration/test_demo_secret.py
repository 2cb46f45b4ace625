"""The demo of a server with secrets, in a browser that knows one and in one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo_site import WAIT, Site, browser, running_site, street, sync_api, upload

__all__ = ["browser", "street"]
pytestmark = pytest.mark.timeout(480)
TOKEN = "a-long-token-0"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site"), CFCONTRA_AUTH=TOKEN) as started:
        yield started


def test_who_knows_a_secret_uses_the_page(browser: Any, locked: Site, street: Path) -> None:
    context = browser.new_context(http_credentials={"username": "anybody", "password": TOKEN})
    context.set_default_timeout(WAIT)
    page = context.new_page()
    refused: list[str] = []
    page.on("response", lambda got: refused.append(got.url) if got.status >= 400 else None)
    page.goto(locked.address)
    page.wait_for_selector("cf-viewer[data-ready]")
    upload(page, street)
    assert page.locator("cf-viewer .legend tbody tr").count() > 0
    assert refused == []
    context.close()


def test_who_knows_none_sees_nothing(browser: Any, locked: Site) -> None:
    context = browser.new_context()
    with pytest.raises(sync_api.Error, match="ERR_INVALID_AUTH_CREDENTIALS"):  # nobody to ask
        context.new_page().goto(locked.address)
    for path in ("/", "/ui/page.js", "/config", "/gradio_api/app_id", "/assets/index.js"):
        assert context.request.get(locked.address + path).status == 401
    for path in ("/gradio_api/upload", "/gradio_api/queue/join", "/v1/segment"):
        assert context.request.post(locked.address + path, data=b"").status == 401
    context.close()
    wrong = {"username": "anybody", "password": "a-wrong-password"}
    context = browser.new_context(http_credentials=wrong)
    assert context.new_page().goto(locked.address).status == 401
    context.close()
