"""Readiness reads every database at each check, writes to it at most once a second, and names the one that fails."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock, patch

import pytest

from app.domain.readiness import VALID_SECONDS, Readiness
from app.errors import Unavailable
from app.request_context import request_context
from app.store import Database, Store
from app.store.feed import Feed
from tests.clock import ManualClock
from tests.deploying import deploy_new

NAMES = ("documents", "history", "keys", "meta", "projects")


@pytest.fixture(scope="module")
def store(server_url: str, module_prefix: str) -> Iterator[Store]:
    """The databases of a new installation."""
    deploy_new(server_url, module_prefix)
    store = Store(server_url, module_prefix)
    yield store
    store.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def readiness(store: Store, clock: ManualClock) -> Readiness:
    return Readiness(store, clock)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of databases that refuse writes."""
    names: set[str] = set()
    probe_write = Database.probe_write

    def probe(database: Database, name: str) -> None:
        if database.name.rpartition("-")[2] in names:
            raise Unavailable
        probe_write(database, name)

    monkeypatch.setattr(Database, "probe_write", probe)
    return names


def test_an_installation_is_ready(readiness: Readiness) -> None:
    assert readiness.problems() == []


@pytest.mark.parametrize("name", NAMES)
def test_a_database_that_takes_no_writes_is_named(
    name: str, readiness: Readiness, read_only: set[str], module_prefix: str
) -> None:
    read_only.add(name)
    assert readiness.problems() == [f"{module_prefix}-{name} takes no writes; is its disk full?"]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_that_does_not_answer_is_named(
    name: str, readiness: Readiness, monkeypatch: pytest.MonkeyPatch
) -> None:
    design_documents = Database.design_documents

    def unanswered(database: Database) -> object:
        if database.name.endswith(name):
            raise Unavailable
        return design_documents(database)

    monkeypatch.setattr(Database, "design_documents", unanswered)
    [problem] = readiness.problems()
    assert f"-{name} does not answer" in problem


def test_a_database_without_a_feed_identity_is_named(
    readiness: Readiness, monkeypatch: pytest.MonkeyPatch, module_prefix: str
) -> None:
    monkeypatch.setattr(Feed, "identity", lambda _: None)
    assert readiness.problems() == [
        f"{module_prefix}-{name} has no feed identity (make deploy-views)" for name in NAMES
    ]


def test_a_database_that_stops_answering_is_noticed_at_once(
    readiness: Readiness, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readiness.problems() == []
    clock.now += VALID_SECONDS / 100
    with monkeypatch.context() as patched:
        patched.setattr(Database, "design_documents", Mock(side_effect=Unavailable))
        assert len(readiness.problems()) == len(NAMES)
    clock.now += VALID_SECONDS / 100
    assert readiness.problems() == []


def test_simultaneous_callers_share_a_check(readiness: Readiness, clock: ManualClock) -> None:
    """All of them call before the first check begins."""
    with patch.object(Readiness, "_check", Mock(return_value=[])) as check, ThreadPoolExecutor(8) as pool:
        clock.now += VALID_SECONDS
        assert list(pool.map(lambda _: readiness.problems(), range(8))) == [[]] * 8
    assert check.call_count == len(NAMES)


def test_the_result_of_a_write_is_valid_for_a_moment(
    readiness: Readiness, read_only: set[str], clock: ManualClock
) -> None:
    assert readiness.problems() == []
    read_only.update(NAMES)
    clock.now = VALID_SECONDS / 2
    assert readiness.problems() == []
    clock.now = VALID_SECONDS
    assert len(readiness.problems()) == len(NAMES)
    read_only.clear()
    clock.now = 2 * VALID_SECONDS
    assert readiness.problems() == []


def test_changes_are_logged_once(
    readiness: Readiness, read_only: set[str], clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for names in ((), ("keys",), ("keys",), ("keys", "meta"), (), ()):
        read_only.clear()
        read_only.update(names)
        readiness.problems()
        clock.now += VALID_SECONDS
    logged = [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "dreamscript.readiness"]
    assert [level for level, _ in logged] == ["ERROR", "ERROR", "WARNING"]
    assert "-keys takes no writes" in logged[0][1]
    assert "-meta takes no writes" in logged[1][1]


def test_a_caller_waits_for_another_check_only_until_its_deadline(readiness: Readiness) -> None:
    with readiness._lock, request_context(request_id="r-1", seconds=0):
        assert readiness.problems() == ["the databases do not answer in time"]


def test_a_check_leaves_no_trace(readiness: Readiness, store: Store) -> None:
    """Neither listings nor feeds nor replication see its writes."""
    before = {name: (store[name].sequence(), store[name].ids("", "z", limit=100)) for name in NAMES}
    assert readiness.problems() == []
    for name, (sequence, rows) in before.items():
        assert store[name].ids("", "z", limit=100) == rows
        assert store[name].changed_since(sequence, limit=10)[0] == []
