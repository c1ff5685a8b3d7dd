"""An installation per module behind the fault proxy, and the seed of its faults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from app.domain.access import SCOPES
from app.local_couchdb import Running, installed
from app.local_couchdb.settings import LocalSettings
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from proofs.cluster import Cluster
from proofs.node import Node
from proofs.proxy import Proxy
from proofs.service import Service
from tests.api.conftest import deployed_settings
from tests.server.clients import workers
from tests.server.live import SECRET, Live, environment

WORKERS = 2


@dataclass(frozen=True)
class Installation:
    """Deployed databases, and a key."""

    settings: Settings
    key: str

    @property
    def url(self) -> str:
        """The URL of the database server."""
        return self.settings.couchdb_url

    @property
    def prefix(self) -> str:
        """The prefix of the databases."""
        return self.settings.prefix

    def environ(self, url: str | None = None, **changes: str) -> dict[str, str]:
        """Return the environment of a service that reaches the databases at ``url``, or directly."""
        settings = {
            "COUCHDB_URL": url or self.url,
            "DREAMSCRIPT_DATABASE_PREFIX": self.prefix,
            "DREAMSCRIPT_SECRET_KEY": SECRET,
            "DREAMSCRIPT_WORKERS": str(WORKERS),
            "DREAMSCRIPT_RATE_LIMIT": "off",
        }
        return environment(**settings | changes)


def install(url: str, prefix: str) -> Installation:
    """Deploy to the database server at ``url`` and create a key of every scope."""
    settings = deployed_settings(url, prefix, secrets=(SECRET,))
    services = build_services(settings)
    _, key = services.keys.create("proofs", SCOPES)
    services.close()
    return Installation(settings, key)


@pytest.fixture(scope="session")
def node(database: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A private server that tests may kill, of the kind that the tests use."""
    if database.origin not in ("installed", "embedded"):
        pytest.skip(f"a server of {database.origin} cannot be stopped from here")
    with Node(database.origin, tmp_path_factory.mktemp("node")) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes of an installed CouchDB, also if the other tests use another database."""
    if not installed.is_at(LocalSettings.parse(os.environ).couchdb_home):
        pytest.skip("no Apache CouchDB is installed")
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def installation(server_url: str, module_prefix: str) -> Installation:
    """This module's installation."""
    return install(server_url, module_prefix)


@pytest.fixture(scope="module")
def services(installation: Installation) -> Iterator[Services]:
    """The services of a process beside this module's service, as the command line uses them."""
    beside = build_services(installation.settings)
    yield beside
    beside.close()


@pytest.fixture(scope="module")
def live(installation: Installation) -> Iterator[Live]:
    """A service that reaches its database directly and has time to answer under load."""
    with Live("serve", installation.environ(DREAMSCRIPT_DEADLINE="30")) as running:
        workers(running, WORKERS)
        yield running


@pytest.fixture(scope="module")
def proxy(installation: Installation) -> Iterator[Proxy]:
    """The proxy between this module's service and its database."""
    with Proxy(installation.url) as running:
        yield running


@pytest.fixture(scope="module")
def service(installation: Installation, proxy: Proxy) -> Iterator[Service]:
    """This module's service behind the proxy."""
    with Service(installation.environ(proxy.url)) as running:
        yield running


@pytest.fixture(scope="module")
def unhurried_service(installation: Installation, proxy: Proxy) -> Iterator[Service]:
    """A service behind the proxy with a long deadline, for tests that expect no 503 on a busy machine."""
    with Service(installation.environ(proxy.url, DREAMSCRIPT_DEADLINE="30")) as running:
        yield running


@pytest.fixture
def seed() -> int:
    """The random seed of a test's faults; a failing test prints it, and the environment sets it."""
    seed = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))
    print(f"DREAMSCRIPT_TEST_SEED={seed}")  # noqa: T201
    return seed


@pytest.fixture(scope="session")
def rounds() -> int:
    """The factor for the number of faults; 1 is for the usual suite."""
    return int(os.environ.get("DREAMSCRIPT_PROOF_ROUNDS", "1"))


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Show a line of figures, whether the test passes or not."""
    writer = pytestconfig.get_terminal_writer()
    return lambda line: writer.line(f"\n{line}")
