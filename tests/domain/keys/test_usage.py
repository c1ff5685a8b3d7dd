"""The last use of a key is written at most once a minute, never moves backwards, and survives conflicts and outages."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from queue import Queue
from typing import Any

import pytest

from app.domain.keys import usage
from app.domain.keys.usage import BATCH_KEYS, LAST_TRIES, MAX_KEYS, USAGE, Usage
from app.errors import Conflict, Unavailable
from app.store import DocumentFailure
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """Return a moment ``seconds`` after noon."""
    return NOON + timedelta(seconds=seconds)


class FakeMeta:
    """A stub of `-meta` that checks revisions, counts requests, and fails on demand."""

    def __init__(self) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.reads: list[list[str]] = []
        self.writes: list[list[str]] = []
        self.unreachable = False
        self.refused: dict[str, DocumentFailure] = {}
        # Called between the read and the write of a batch.
        self.meanwhile: Callable[[], object] = lambda: None

    def get_many(self, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the stored documents."""
        if self.unreachable:
            raise Unavailable
        if doc_ids:
            self.reads.append(list(doc_ids))
        return {doc_id: dict(self.stored[doc_id]) for doc_id in doc_ids if doc_id in self.stored}

    def write_many(self, documents: Sequence[Mapping[str, Any]]) -> dict[str, str | DocumentFailure]:
        """Store new documents and successors, and return the outcomes in reverse order."""
        self.meanwhile()
        if documents:
            self.writes.append([document["_id"] for document in documents])
        return {document["_id"]: self._write(document) for document in reversed(documents)}

    def _write(self, document: Mapping[str, Any]) -> str | DocumentFailure:
        doc_id = document["_id"]
        if doc_id in self.refused:
            return self.refused[doc_id]
        former = self.stored.get(doc_id, {}).get("_rev")
        if former != document.get("_rev"):
            return DocumentFailure.CONFLICT
        self.stored[doc_id] = {**document, "_rev": f"{int((former or '0-x').split('-')[0]) + 1}-x"}
        return str(self.stored[doc_id]["_rev"])

    def moments(self) -> dict[int, datetime]:
        """Return the stored moments by key id."""
        return {document["key"]: datetime.fromisoformat(document["last_used_at"]) for document in self.stored.values()}


class Minutes:
    """A manual clock of minutes; ``waiting`` is released whenever the thread waits for one."""

    def __init__(self) -> None:
        self.waiting: Queue[threading.Thread] = Queue()
        self._passed: Queue[bool] = Queue()

    def __call__(self, _: threading.Event) -> bool:
        self.waiting.put(threading.current_thread())
        return self._passed.get(timeout=MAX_WAIT_SECONDS)

    def pass_one(self) -> None:
        """Let a minute pass, and wait until the thread waits again."""
        self._passed.put(False)
        self.waiting.get(timeout=MAX_WAIT_SECONDS)

    def end(self) -> None:
        """End the thread, like the end of the process."""
        self._passed.put(True)


class Desk:
    """The notes of a process with a stub database and a manual clock."""

    def __init__(self, meta: FakeMeta | None = None) -> None:
        self.meta, self.minutes = meta or FakeMeta(), Minutes()
        self.sweeps = 0
        self.failure: Exception = Unavailable()
        self.usage = Usage(self.meta, self.also, self.minutes)  # type: ignore[arg-type]

    def also(self, ending: threading.Event) -> None:
        """Fail like the task after a flush may."""
        assert not ending.is_set()
        self.sweeps += 1
        raise self.failure


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A fresh desk."""
    desk = Desk()
    yield desk
    desk.minutes.end()


def test_a_note_makes_no_request_and_a_minute_makes_two(desk: Desk) -> None:
    for second in range(100):
        desk.usage.note(7, after(second))
        desk.usage.note(8, after(second))
    thread = desk.minutes.waiting.get(timeout=MAX_WAIT_SECONDS)
    assert thread.daemon
    assert (desk.meta.reads, desk.meta.writes) == ([], [])
    desk.minutes.pass_one()
    assert desk.meta.moments() == {7: after(99), 8: after(99)}
    assert (len(desk.meta.reads), len(desk.meta.writes)) == (1, 1)


@pytest.mark.parametrize(
    ("failure", "logged"), [(Unavailable(), 0), (Conflict(), 2), (KeyError("a fault"), 2)], ids=repr
)
def test_the_task_after_a_flush_may_fail(
    desk: Desk, failure: Exception, logged: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The store logs failures of the database; other exceptions are logged here."""
    desk.failure = failure
    desk.usage.note(7, NOON)
    desk.minutes.waiting.get(timeout=MAX_WAIT_SECONDS)
    assert desk.sweeps == 0
    desk.minutes.pass_one()
    desk.minutes.pass_one()
    assert desk.sweeps == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * logged


def test_no_moment_moves_backwards(desk: Desk) -> None:
    other = Desk(desk.meta)
    other.usage.note(7, after(50))
    other.usage.flush()
    desk.usage.note(7, after(20))
    desk.usage.note(7, after(10))
    desk.usage.flush()
    assert desk.meta.moments() == {7: after(50)}
    # It is not retried either.
    desk.usage.flush()
    assert (len(desk.meta.reads), len(desk.meta.writes)) == (2, 1)
    desk.usage.note(7, after(70))
    desk.usage.note(7, after(60))
    desk.usage.flush()
    assert desk.meta.moments() == {7: after(70)}
    other.minutes.end()


def test_a_conflict_waits_for_the_next_flush_and_is_not_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    other = Desk(desk.meta)
    for second in (0, 10):
        other.usage.note(7, after(second))
        desk.usage.note(7, after(second + 5))
        desk.usage.note(8, after(second + 5))
        desk.meta.meanwhile = meanwhile(desk.meta, other.usage.flush)
        desk.usage.flush()
        assert desk.meta.moments() == {7: after(second), 8: after(second + 5)}
    desk.usage.flush()
    assert desk.meta.moments() == {7: after(15), 8: after(15)}
    assert caplog.records == []
    other.minutes.end()


def meanwhile(meta: FakeMeta, act: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls ``act`` once, without recursion."""

    def once() -> None:
        meta.meanwhile = lambda: None
        act()

    return once


def test_the_last_flush_retries_conflicts(desk: Desk) -> None:
    """Processes that stop together write the same keys, and the latest moment must win."""
    others = [Desk(desk.meta) for _ in range(3)]
    for number, one in enumerate([*others, desk]):
        one.usage.note(7, after(number))

    def end_another() -> None:
        if others:
            other = others.pop(0)
            other.usage.close()
            other.minutes.end()

    desk.meta.meanwhile = end_another
    desk.usage.close()
    assert desk.meta.moments() == {7: after(3)}


def test_the_last_flush_gives_up_after_some_tries(desk: Desk) -> None:
    desk.meta.refused = {USAGE.doc_id(7): DocumentFailure.CONFLICT}
    desk.usage.note(7, NOON)
    desk.usage.close()
    assert len(desk.meta.writes) == LAST_TRIES


def test_notes_survive_an_unreachable_database(desk: Desk) -> None:
    desk.meta.unreachable = True
    desk.usage.note(7, NOON)
    desk.minutes.waiting.get(timeout=MAX_WAIT_SECONDS)
    desk.minutes.pass_one()
    desk.usage.note(8, after(1))
    desk.minutes.pass_one()
    assert desk.meta.stored == {}
    desk.meta.unreachable = False
    desk.minutes.pass_one()
    assert desk.meta.moments() == {7: NOON, 8: after(1)}


@pytest.mark.parametrize("failure", [DocumentFailure.UNKNOWN, DocumentFailure.FORBIDDEN])
def test_refused_notes_are_kept_and_logged_once(
    desk: Desk, failure: DocumentFailure, caplog: pytest.LogCaptureFixture
) -> None:
    keys = range(1, BATCH_KEYS + 11)
    desk.meta.refused = {USAGE.doc_id(key_id): failure for key_id in (1, BATCH_KEYS + 1, BATCH_KEYS + 2)}
    for key_id in keys:
        desk.usage.note(key_id, NOON)
    desk.usage.flush()
    [record] = caplog.records
    assert (record.name, record.levelno, vars(record)[failure.value]) == ("dreamscript.usage", logging.ERROR, 3)
    desk.meta.refused = {}
    desk.usage.flush()
    assert desk.meta.moments() == dict.fromkeys(keys, NOON)
    assert len(desk.meta.writes[-1]) == 3
    assert len(caplog.records) == 1


def test_a_bug_ends_neither_the_thread_nor_a_request(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise KeyError("a fault")

    desk.meta.meanwhile = fail
    desk.usage.note(7, NOON)
    desk.minutes.waiting.get(timeout=MAX_WAIT_SECONDS)
    desk.minutes.pass_one()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    desk.meta.meanwhile = lambda: None
    desk.minutes.pass_one()
    assert desk.meta.moments() == {7: NOON}


def test_a_note_during_a_flush_is_kept_for_the_next_one(desk: Desk) -> None:
    desk.usage.note(7, NOON)
    desk.meta.meanwhile = lambda: desk.usage.note(7, after(1))
    desk.usage.flush()
    desk.meta.meanwhile = lambda: None
    assert desk.meta.moments() == {7: NOON}
    desk.usage.flush()
    assert desk.meta.moments() == {7: after(1)}


def test_batches_are_bounded_and_so_is_the_memory(desk: Desk) -> None:
    """The least recently used key is forgotten; a second note renews a key."""
    for key_id in range(1, MAX_KEYS + 1):
        desk.usage.note(key_id, NOON)
    desk.usage.note(1, after(1))
    desk.usage.note(MAX_KEYS + 1, after(1))
    desk.usage.flush()
    assert {len(batch) for batch in desk.meta.reads + desk.meta.writes} == {BATCH_KEYS}
    assert set(desk.meta.moments()) == {*range(1, MAX_KEYS + 2)} - {2}


def test_a_failing_database_ends_the_flush_at_the_first_batch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = []

    def unanswered(doc_ids: Sequence[str]) -> dict[str, Any]:
        requests.append(doc_ids)
        raise Unavailable

    monkeypatch.setattr(desk.meta, "get_many", unanswered)
    for key_id in range(1, 3 * BATCH_KEYS):
        desk.usage.note(key_id, NOON)
    desk.usage.close()
    assert len(requests) == 1


def test_a_failed_thread_start_fails_no_request(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        desk.usage.note(7, NOON)
    desk.usage.note(8, NOON)
    desk.minutes.waiting.get(timeout=MAX_WAIT_SECONDS)
    desk.minutes.pass_one()
    assert desk.meta.moments() == {7: NOON, 8: NOON}


def test_processes_that_start_together_do_not_flush_together(monkeypatch: pytest.MonkeyPatch) -> None:
    ending, waited = threading.Event(), list[float]()
    monkeypatch.setattr(ending, "wait", waited.append)
    for _ in range(100):
        usage.until_next_flush(ending)
    assert len(set(waited)) > 1
    assert usage.PERIOD_SECONDS <= min(waited) < max(waited) <= usage.PERIOD_SECONDS + usage.SPREAD_SECONDS
