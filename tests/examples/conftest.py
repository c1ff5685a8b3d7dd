"""A service and the files of the editor behind networks that can be cut, one Chromium, and users of the editor."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from app.cli.editor_server import EditorServer
from app.domain.access import SCOPES
from proofs.proxy import Proxy
from tests.api.browser import CHROMIUM, Browser
from tests.examples.person import Person
from tests.server.deployed import deployed_environment
from tests.server.live import Live, create_key


@pytest.fixture(scope="package")
def environ(server_url: str, package_prefix: str) -> dict[str, str]:
    """The environment of an installation that is deployed."""
    return deployed_environment(server_url, package_prefix)


@pytest.fixture(scope="package")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """The running service."""
    with Live("serve", environ) as running:
        yield running


@pytest.fixture(scope="package")
def service(live: Live) -> Iterator[Proxy]:
    """The network between the people and the service."""
    with Proxy(f"http://{live.address}") as proxy:
        yield proxy


@pytest.fixture
def other_service(live: Live) -> Iterator[Proxy]:
    """A second network to the service, which can be cut apart from the first."""
    with Proxy(f"http://{live.address}") as proxy:
        yield proxy


@pytest.fixture(scope="package")
def page(service: Proxy) -> Iterator[Proxy]:
    """The network between the people and the editor's files."""
    with serving_editor(service.url) as url, Proxy(url) as proxy:
        yield proxy


@contextmanager
def serving_editor(service_url: str) -> Iterator[str]:
    """Serve the files of the editor, and yield their URL."""
    with EditorServer(socket.create_server(("127.0.0.1", 0)), service_url) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all people."""
    if CHROMIUM is None:
        pytest.skip("the page needs a browser, and there is no Chromium here")
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="package")
def key(environ: dict[str, str]) -> str:
    """A key that may do everything."""
    return str(create_key(environ, SCOPES)["key"])


@pytest.fixture
def person(browser: Browser, page: Proxy, service: Proxy, key: str) -> Iterator[Callable[..., Person]]:
    """Make people, each with a browser profile of their own and connected to the service."""
    with ExitStack() as opened:

        def make(own_key: str | None = None, *, is_remembered: bool = False, network: Proxy = service) -> Person:
            tab = browser.new_tab(browser.new_profile())
            opened.callback(tab.call, "Page.close")
            person = Person(tab, f"{page.url}/", network.url)
            person.connect(own_key or key, is_remembered=is_remembered)
            return person

        yield make
