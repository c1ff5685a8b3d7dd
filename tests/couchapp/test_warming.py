"""Check that warming waits for a slow index, and reports any other failure."""

from __future__ import annotations

from typing import Any

import pytest

from app.couch.connection import AnswerLost, Connection, CouchResponse, Refused
from couchapp.databases import ConcurrentChange, Databases
from couchapp.warming import MAX_FAILURES, WarmingError, indexing_tasks, warm

pytestmark = pytest.mark.nodatabase

DOCUMENT = {"views": {"by_id": {"map": ""}}}
TASK = {
    "type": "indexer",
    "database": "shards/00000000-7fffffff/films-documents.1795416621",
    "design_document": "_design/staged-listing",
    "changes_done": 20,
    "total_changes": 100,
}


class Scripted(Connection):
    """A server that gives the next of ``outcomes`` to each query of a view, and repeats the last one."""

    def __init__(self, *outcomes: Exception | None, tasks: list[dict[str, Any]] | Exception = ()) -> None:  # type: ignore[assignment]
        super().__init__("http://127.0.0.1:1")
        self._outcomes, self._tasks = list(outcomes), tasks
        self.queries = 0

    def request(self, method: str, *path: str, **_options: Any) -> CouchResponse:
        assert method == "GET"
        if path == ("_active_tasks",):
            if isinstance(self._tasks, Exception):
                raise self._tasks
            return CouchResponse(200, list(self._tasks))
        self.queries += 1
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if outcome:
            raise outcome
        return CouchResponse(200, {"rows": []})


def run(connection: Scripted, limit: float = 60) -> None:
    warm(Databases(connection, "films"), "documents", "staged-listing", DOCUMENT, limit)


def test_a_slow_index_is_queried_until_it_is_built() -> None:
    slow = AnswerLost("no complete answer in time")
    connection = Scripted(slow, slow, slow, None, tasks=[TASK])
    run(connection)
    assert connection.queries == 4


def test_warming_ends_at_its_time_limit() -> None:
    with pytest.raises(WarmingError, match="not built in time"):
        run(Scripted(AnswerLost("no complete answer in time")), limit=0.01)


def test_only_a_permanent_failure_is_reported() -> None:
    failure = Refused(500, "timeout", "The request could not be processed in a reasonable amount of time.")
    run(Scripted(failure, failure, None))
    connection = Scripted(failure)
    with pytest.raises(WarmingError, match="reasonable amount of time"):
        run(connection)
    assert connection.queries == MAX_FAILURES


def test_a_removed_design_document_is_a_concurrent_change() -> None:
    with pytest.raises(ConcurrentChange):
        run(Scripted(Refused(404, "not_found", "deleted")))


def test_only_the_tasks_of_the_design_document_are_returned() -> None:
    others = [
        TASK | {"type": "view_compaction"},
        TASK | {"design_document": "_design/listing"},
        TASK | {"database": "shards/00000000-7fffffff/films-documents-2.1795416621"},
    ]
    own = [TASK, TASK | {"database": "films-documents"}]
    databases = Databases(Scripted(None, tasks=others + own), "films")
    assert indexing_tasks(databases, "films-documents", "staged-listing") == own


def test_a_server_without_tasks_has_none() -> None:
    databases = Databases(Scripted(None, tasks=Refused(404, "not_found", "missing")), "films")
    assert indexing_tasks(databases, "films-documents", "staged-listing") == []
