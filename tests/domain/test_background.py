"""Background jobs run in one thread, in the process that holds their lease."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from app.domain import background as background_module
from app.domain.background import RETRY_SECONDS, STANDBY_SECONDS, Background
from app.domain.resources import now
from app.errors import Conflict, Unavailable
from app.store import Database
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase


class MetaStub(Database):
    """A stub of `-meta` that holds leases, and fails on demand."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, object]] = {}
        self.is_broken = False

    def get(self, doc_id: str, **_: object) -> dict[str, object] | None:
        if self.is_broken:
            raise Unavailable
        return self.documents.get(doc_id)

    def create(self, document: object) -> str:
        return self.replace(document)

    def replace(self, document: object) -> str:
        assert isinstance(document, dict)
        if self.documents.get(document["_id"], {}).get("_rev") != document.get("_rev"):
            raise Conflict
        self.documents[document["_id"]] = {**document, "_rev": str(len(self.documents)) + str(document["until"])}
        return ""


class JobStub:
    """A job that counts its runs, and does ``act`` in each."""

    def __init__(self, name: str, act: Callable[[], object] = lambda: None, pause: float = 0.0) -> None:
        self.name, self._act, self._pause = name, act, pause
        self.runs = self.standbys = 0

    def run(self, _: Event) -> float:
        self.runs += 1
        self._act()
        return self._pause

    def stand_by(self) -> None:
        self.standbys += 1


@pytest.fixture
def meta() -> MetaStub:
    return MetaStub()


def fail(error: Exception) -> Callable[[], object]:
    """Return a function that raises ``error``."""

    def act() -> None:
        raise error

    return act


def test_a_job_runs_again_after_its_pause(meta: MetaStub) -> None:
    often, seldom = JobStub("often"), JobStub("seldom", pause=100)
    jobs = Background(meta, [often, seldom], now)
    assert [jobs.run_due() for _ in range(3)] == [0.0, 0.0, 0.0]
    assert (often.runs, seldom.runs) == (3, 1)


def test_only_the_holder_of_a_lease_runs_its_job(meta: MetaStub) -> None:
    first, second = JobStub("capture"), JobStub("capture")
    Background(meta, [first], now).run_due()
    assert 0 < Background(meta, [second], now).run_due() <= STANDBY_SECONDS
    assert (first.runs, second.runs, second.standbys) == (1, 0, 1)


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError("a defect")])
def test_a_job_that_fails_runs_later_and_stops_no_other(
    meta: MetaStub, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing, other = JobStub("failing", fail(error)), JobStub("other", pause=100)
    assert STANDBY_SECONDS < Background(meta, [failing, other], now).run_due() <= RETRY_SECONDS
    assert (failing.runs, other.runs) == (1, 1)
    assert ("the background job failing failed" in caplog.text) == isinstance(error, RuntimeError)


def test_without_a_database_no_job_runs(meta: MetaStub) -> None:
    meta.is_broken = True
    job = JobStub("capture")
    Background(meta, [job], now).run_due()
    assert (job.runs, job.standbys) == (0, 0)


def test_the_thread_releases_its_leases_at_the_end(meta: MetaStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "JOIN_SECONDS", 60)
    job, successor = JobStub("capture", pause=0.01), JobStub("capture")
    jobs = Background(meta, [job], now)
    jobs.start()
    jobs.start()
    wait_until(lambda: job.runs > 1, "a second run")
    jobs.close()
    Background(meta, [successor], now).run_due()
    assert successor.runs == 1


def test_a_closed_background_starts_no_thread(meta: MetaStub) -> None:
    job = JobStub("capture")
    jobs = Background(meta, [job], now)
    jobs.close()
    jobs.start()
    assert jobs.run_due() == 0.0
    assert job.runs == 0
