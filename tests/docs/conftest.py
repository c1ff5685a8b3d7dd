"""One service for all pages, with the items of the README's first requests, and a reader of each page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from app.domain.access import SCOPES
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.api.browser import CHROMIUM, Browser
from tests.docs.reader import Reader
from tests.server.deployed import deployed_environment
from tests.server.live import Live, create_key

MakeReader = Callable[..., Reader]
NewItem = Callable[..., int]


@pytest.fixture(scope="package")
def environ(server_url: str, package_prefix: str) -> dict[str, str]:
    """The environment of an installation whose pages are so small that clients must follow them."""
    return deployed_environment(server_url, package_prefix, DREAMSCRIPT_PAGE_SIZE="3")


@pytest.fixture(scope="package")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """The running service."""
    with Live("serve", environ) as running:
        yield running


@pytest.fixture(scope="package")
def services(environ: dict[str, str]) -> Iterator[Services]:
    """The services of the installation, to bring versions of another region."""
    with closing(build_services(Settings.read(environ))) as services:
        yield services


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser."""
    if CHROMIUM is None:
        pytest.skip("EventSource needs a browser, and there is no Chromium here")
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="package")
def key(environ: dict[str, str]) -> str:
    """A key that may do everything."""
    return str(create_key(environ, SCOPES)["key"])


@pytest.fixture
def new_item(live: Live, key: str) -> NewItem:
    """Create an item, and return its id."""

    def create(kind: str, **members: Any) -> int:
        status, item = live.request("POST", f"/{kind}", key, members)
        assert status == 201, item
        return int(item["id"])

    return create


@pytest.fixture
def make_reader(live: Live, key: str, tmp_path: Path) -> Iterator[MakeReader]:
    """Make a reader whose page has these ids and words in place of those of the service."""
    with ExitStack() as opened:

        def make(values: dict[str, str], own_key: str = key) -> Reader:
            file = tmp_path / "var" / "development-key"
            file.parent.mkdir(exist_ok=True)
            file.write_text(own_key)
            return opened.enter_context(Reader(tmp_path, live.address, values))

        yield make
