"""Each failure of the database is a conflict, a missing document or Unavailable, with one log line."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.couch.connection import Connection
from app.errors import Conflict, Unavailable
from app.request_context import request_context
from app.store import Database, DocumentFailure, Store, exchange
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, answer, hang, reply, reset, send
from tests.waiting import wait_until

pytestmark = pytest.mark.nodatabase

Call = Callable[[Database], object]

DOCUMENT = {"_id": "document:1", "title": "the text of a client"}
REFUSED = {"error": "unauthorized", "reason": "Name or password is incorrect."}
READS: dict[str, Call] = {
    "get": lambda database: database.get("a"),
    "get_many": lambda database: database.get_many(["a"]),
    "winners": lambda database: database.winners(["a"]),
    "revisions": lambda database: database.revisions([("a", "1-a")]),
    "view": lambda database: database.view("listing", "by_id"),
    "view of keys": lambda database: database.view("listing", "by_id", keys=["a"]),
    "ids": lambda database: database.ids("a", "b", limit=1),
    "last_id": lambda database: database.last_id("a", "b"),
    "design_documents": lambda database: database.design_documents(),
}
WRITES: dict[str, Call] = {
    "create": lambda database: database.create(DOCUMENT),
    "replace": lambda database: database.replace({**DOCUMENT, "_rev": "1-a"}),
}
CALLS: dict[str, Call] = {
    **READS,
    **WRITES,
    "probe_write": lambda database: database.probe_write("a"),
    "write_many": lambda database: database.write_many([DOCUMENT]),
}
FAILURES: dict[str, Behaviour] = {
    **{str(status): answer(status, REFUSED) for status in (400, 401, 403, 405, 412, 413, 415, 429, 500, 503)},
    "no database": answer(404, {"error": "not_found", "reason": "Database does not exist."}),
    "no database in PouchDB": answer(404, {"error": "not_found", "reason": "no_db_file"}),
    "redirect": send(reply(301, b"", "Location: /_session")),
    "HTML": send(reply(200, b"<html>", "Content-Type: text/html")),
    "nothing": send(reply(200)),
    "null": send(reply(200, b"null")),
    "list": send(reply(200, b"[]")),
    "another object": answer(200, {"ok": True}),
    "rows that are none": answer(200, {"rows": [{}]}),
    "rows that are texts": answer(200, {"rows": ["a"]}),
    "results that are none": answer(200, {"results": [{}]}),
    "results of another error": answer(200, {"results": [{"docs": [{"error": {"error": "internal"}}]}]}),
    "accepted": answer(202, {"ok": True, "rev": "1-a", "rows": []}),
    "reset": reset,
}


class OwnThread(logging.Filter):
    """Passes the records of the thread that creates it. `app.server.logs` keeps the thread out of the records."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return threading.get_ident() == self._thread


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Capture everything that this test logs, and nothing from the threads of earlier tests."""
    caplog.set_level(logging.DEBUG)
    with caplog.filtering(OwnThread()):
        yield


@contextmanager
def database(*behaviours: Behaviour) -> Iterator[tuple[Database, MisbehavingServer]]:
    """Give a database of a server with these behaviours."""
    with MisbehavingServer(*behaviours) as server:
        store = Store(f"http://user:s%3Acret@{server.host}", "p")
        yield store["documents"], server
        store.close()


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_failure_is_unavailable_and_logged_once(
    call: Call, failure: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    context = request_context(request_id="r-1", seconds=30)
    with database(failure) as (documents, server), context, pytest.raises(Unavailable) as caught:
        call(documents)
    [record] = caplog.records
    last = server.requests[-1]
    assert (record.name, record.levelno) == ("dreamscript.store", logging.ERROR)
    assert vars(record)["request_id"] == last.headers["x-couch-request-id"] == "r-1"
    assert vars(record)["method"] == last.method
    assert vars(record)["path"].startswith("/p-documents/")
    text = "".join(traceback.format_exception(caught.value)) + repr(vars(record)) + caught.value.reason
    assert "cret" not in text
    assert DOCUMENT["title"] not in text


def test_the_log_has_the_reason_of_couchdb(caplog: pytest.LogCaptureFixture) -> None:
    with database(answer(401, REFUSED)) as (documents, _), pytest.raises(Unavailable):
        documents.get("document:1")
    [record] = map(vars, caplog.records)
    assert (record["path"], record["status"], record["error"]) == ("/p-documents/document:1", 401, "unauthorized")
    assert "Name or password is incorrect." in caplog.text


@pytest.mark.parametrize("reason", ["missing", "deleted"])
def test_a_missing_document_is_not_logged(reason: str, caplog: pytest.LogCaptureFixture) -> None:
    with database(answer(404, {"error": "not_found", "reason": reason})) as (documents, _):
        assert documents.get("a") is None
        with pytest.raises(Unavailable):
            documents.view("listing", "by_id")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_conflict_is_not_logged(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    conflict = answer(409, {"error": "conflict", "reason": "Document update conflict."})
    with database(conflict) as (documents, _), pytest.raises(Conflict):
        call(documents)
    assert caplog.records == []


@pytest.mark.parametrize("failure", [answer(202, {"rev": "1-a"}), answer(500, REFUSED), reset, send(reply(201, b"{"))])
@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_write_of_unknown_outcome_is_unconfirmed_and_not_repeated(call: Call, failure: Behaviour) -> None:
    with database(failure) as (documents, server), pytest.raises(Unavailable, match="outcome of the write is unknown"):
        call(documents)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "failure",
    [
        answer(202, [{"ok": True, "id": "document:1", "rev": "1-a"}]),
        answer(500, REFUSED),
        answer(201, []),
        answer(201, {"ok": True}),
        reset,
        send(reply(201, b"[")),
    ],
)
def test_many_writes_of_unknown_outcome_are_unknown_and_not_repeated(failure: Behaviour) -> None:
    with database(failure) as (documents, server), pytest.raises(Unavailable, match="outcome of the write is unknown"):
        documents.write_many([DOCUMENT])
    assert len(server.requests) == 1


def test_of_many_writes_each_has_its_own_outcome() -> None:
    """CouchDB answers 202 if one of them has no quorum, and names it; the order is not specified."""
    results: list[dict[str, object]] = [
        {"id": "forbidden", "error": "forbidden", "reason": "bad"},
        {"id": "unauthorized", "error": "unauthorized", "reason": "bad"},
        {"id": "failed", "error": "internal_server_error", "reason": "null"},
        {"ok": True, "id": "accepted", "rev": "1-a", "accepted": True},
        {"ok": True, "id": "stored", "rev": "1-b"},
        {"id": "conflict", "error": "conflict", "reason": "Document update conflict."},
        {"ok": True, "id": "somebody else's", "rev": "1-c"},
        {"ok": True, "id": "without revision"},
    ]
    expected = {
        "stored": "1-b",
        "accepted": DocumentFailure.UNKNOWN,
        "conflict": DocumentFailure.CONFLICT,
        "forbidden": DocumentFailure.FORBIDDEN,
        "unauthorized": DocumentFailure.FORBIDDEN,
        "failed": DocumentFailure.UNKNOWN,
        "missing": DocumentFailure.UNKNOWN,
        "without revision": DocumentFailure.UNKNOWN,
    }
    with database(answer(202, results)) as (documents, _):
        assert documents.write_many([{"_id": doc_id} for doc_id in expected]) == expected


@pytest.mark.parametrize(("call", "status"), [("create", 401), ("write_many", 401), ("write_many", 403)])
def test_a_refused_write_is_not_unknown(call: str, status: int) -> None:
    with database(answer(status, REFUSED)) as (documents, _), pytest.raises(Unavailable) as caught:
        CALLS[call](documents)
    assert caught.value.reason == Unavailable.reason


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_every_read_survives_a_reset(call: Call) -> None:
    rows = {"rows": [], "results": [], "_id": "a", "_rev": "1-a"}
    with database(reset, answer(200, rows)) as (documents, server):
        call(documents)
    assert len(server.requests) == 2


def test_an_unreadable_row_is_not_a_missing_document(caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"key": "a", "error": "not_found"}, {"key": "b", "error": "timeout"}]
    with database(answer(200, {"rows": rows})) as (documents, _), pytest.raises(Unavailable):
        documents.get_many(["a", "b"])
    assert "timeout" in caplog.text


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_request_past_its_deadline_sends_nothing(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    context = request_context(request_id="r-1", seconds=0)
    with database(answer(200)) as (documents, server), context, pytest.raises(Unavailable) as caught:
        call(documents)
    assert server.requests == []
    # It is not a failure of the database, and nothing can be stored.
    assert type(caught.value) is Unavailable
    assert caplog.records == []


@pytest.mark.parametrize(("store_waits", "request_has"), [(600.0, 0.2), (0.2, 600.0)])
def test_a_wait_ends_with_the_request_or_before_it(
    store_waits: float, request_has: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = answer(404, {"error": "not_found", "reason": "missing"})
    with database(absent, hang) as (documents, server):
        # This opens the connection, so that the short time is spent on the answer alone.
        documents.get("first")
        monkeypatch.setattr(exchange, "TIMEOUT_SECONDS", store_waits)
        started, context = time.monotonic(), request_context(request_id="r-1", seconds=request_has)
        with context, pytest.raises(Unavailable):
            documents.get("second")
        assert time.monotonic() - started < 30
        wait_until(lambda: len(server.requests) == 2)
    assert len(server.requests) == 2


def test_many_documents_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second attempt would take the same time again."""
    waits, request = list[float](), Connection.request

    def noted(self: Connection, *args: Any, timeout: float, **options: Any) -> Any:
        waits.append(timeout)
        return request(self, *args, timeout=timeout, **options)

    monkeypatch.setattr(Connection, "request", noted)
    results = [{"ok": True, "id": str(number), "rev": "1-a"} for number in range(1000)]
    with database(answer(201, results)) as (documents, _):
        documents.write_many([{"_id": str(number)} for number in range(1000)])
        with request_context(request_id="r-1", seconds=1):
            documents.write_many([{"_id": str(number)} for number in range(1000)])
    assert waits[0] == exchange.TIMEOUT_SECONDS + 1000 * exchange.SECONDS_PER_DOCUMENT
    assert waits[1] <= 1


def test_only_stale_reads_skip_the_index_update() -> None:
    """Both databases know this parameter; CouchDB also knows update=lazy."""
    with database(answer(200, {"rows": []})) as (documents, server):
        documents.view("listing", "by_id", stale_ok=True)
        documents.view("listing", "by_id")
    assert ["stale=update_after" in request.target for request in server.requests] == [True, False]
