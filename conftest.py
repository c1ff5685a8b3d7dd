"""Fixtures of every test: the URL of a database server, and database names that no other test uses."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.local_couchdb import Running, StartError
from app.local_couchdb.wire import request as ask
from app.store import changes, exchange
from couchapp.settings import SettingError
from tests.databases import TestDatabase
from tests.waiting import MAX_WAIT_SECONDS

# Examples and their generation have no time limit, since their duration depends on the machine. CI always tries the
# same ones.
hypothesis.settings.register_profile(
    "project",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")

ROOMS = ("documents", "projects", "history", "keys", "meta")
DATABASE = pytest.StashKey[TestDatabase]()
# A script starts its background jobs with these signals ignored (POSIX, Shell Command Language, 2.11).
IGNORED_IN_BACKGROUND = (signal.SIGINT, signal.SIGQUIT)


def pytest_configure(config: pytest.Config) -> None:
    _restore_signals()
    config.stash[DATABASE] = TestDatabase()


def _restore_signals() -> None:
    """Handle as usual the signals that this process ignores, since the tests' processes inherit it if it ignores them.

    Python raises no KeyboardInterrupt in a process that was started with SIGINT ignored.
    """
    for number in IGNORED_IN_BACKGROUND:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[DATABASE].stop()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m nodatabase``, skip modules without such tests, so that their imports cost nothing."""
    is_module = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if config.option.markexpr == "nodatabase" and is_module and "nodatabase" not in collection_path.read_text():
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that is marked nodatabase and uses the database server."""
    for item in items:
        if item.get_closest_marker("nodatabase") and "server_url" in getattr(item, "fixturenames", ()):
            raise pytest.UsageError(f"{item.nodeid} is marked nodatabase and asks for server_url")


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str:
    """Name the database, which is started here and only if a collected test needs it."""
    needed = any("server_url" in getattr(item, "fixturenames", ()) for item in items)
    if config.option.collectonly or not needed:
        return "database: none is needed"
    try:
        return f"database: {config.stash[DATABASE].title}"
    except (StartError, SettingError) as failure:
        pytest.exit(str(failure), pytest.ExitCode.USAGE_ERROR)


@pytest.fixture(autouse=True, scope="session")
def _long_timeouts() -> Iterator[None]:
    """Let stores in this process wait for a busy database, and a follower's thread end before its test."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(exchange, "TIMEOUT_SECONDS", MAX_WAIT_SECONDS)
        patched.setattr(changes, "JOIN_SECONDS", MAX_WAIT_SECONDS)
        yield


@pytest.fixture(scope="session")
def database(pytestconfig: pytest.Config) -> Running:
    """The database server of this run."""
    return pytestconfig.stash[DATABASE].running


@pytest.fixture(scope="session")
def server_url(database: Running) -> str:
    """The URL of the database server, with an administrator's credentials and no slash at its end."""
    return database.url


@pytest.fixture(autouse=True)
def _only_on_couchdb(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("couchdb"):
        name: str = request.getfixturevalue("database").name
        if "CouchDB" not in name:
            pytest.skip(f"only Apache CouchDB can satisfy it, and this is {name}")


@pytest.fixture
def prefix(server_url: str) -> Iterator[str]:
    """A prefix for this test's databases, which are deleted after it."""
    yield from _prefix(server_url)


@pytest.fixture(scope="module")
def module_prefix(server_url: str) -> Iterator[str]:
    """A prefix for databases that the tests of a module share, deleted after them."""
    yield from _prefix(server_url)


@pytest.fixture(scope="module")
def second_module_prefix(server_url: str) -> Iterator[str]:
    """Another one, for a second region."""
    yield from _prefix(server_url)


@pytest.fixture(scope="package")
def package_prefix(server_url: str) -> Iterator[str]:
    """A prefix for databases that the tests of a package share, deleted after them."""
    yield from _prefix(server_url)


def _prefix(server_url: str) -> Iterator[str]:
    name = f"t{secrets.token_hex(4)}"
    yield name
    delete_databases(server_url, name)


def delete_databases(server_url: str, prefix: str) -> None:
    """Delete the databases with a prefix, as far as there are any."""
    for room in ROOMS:
        status = ask(server_url, "DELETE", f"/{prefix}-{room}", timeout=MAX_WAIT_SECONDS)[0]
        assert status in (200, 202, 404), f"{prefix}-{room} was not deleted: {status}"
