"""Warming waits for an index that takes its time, and for nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from app.couch.connection import AnswerLost, Connection, CouchResponse, Refused, Unreachable
from couchapp.databases import Databases, Disturbed
from couchapp.warming import MAX_FAILURES, WarmingError, building, warm

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
    """A server that gives the next of ``outcomes`` to each query of a view, and the last one for ever."""

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


def test_it_asks_until_the_index_is_built() -> None:
    slow = AnswerLost("no whole answer came in time")
    connection = Scripted(slow, slow, slow, None, tasks=[TASK])
    run(connection)
    assert connection.queries == 4


def test_it_gives_up_when_its_time_is_over() -> None:
    with pytest.raises(WarmingError, match="not built in time"):
        run(Scripted(AnswerLost("no whole answer came in time")), limit=0.01)


def test_a_failure_that_stays_is_told_and_one_that_goes_is_not() -> None:
    failure = Refused(500, "timeout", "The request could not be processed in a reasonable amount of time.")
    run(Scripted(failure, failure, None))
    connection = Scripted(failure)
    with pytest.raises(WarmingError, match="reasonable amount of time"):
        run(connection)
    assert connection.queries == MAX_FAILURES


def test_what_is_gone_can_be_staged_again() -> None:
    with pytest.raises(Disturbed):
        run(Scripted(Refused(404, "not_found", "deleted")))


def test_a_server_that_is_gone_is_told() -> None:
    with pytest.raises(Unreachable):
        run(Scripted(Unreachable("no connection")))


def test_the_tasks_of_one_design_document_are_found() -> None:
    others = [
        TASK | {"type": "view_compaction"},
        TASK | {"design_document": "_design/listing"},
        TASK | {"database": "shards/00000000-7fffffff/films-documents-2.1795416621"},
    ]
    mine = [TASK, TASK | {"database": "films-documents"}]
    databases = Databases(Scripted(None, tasks=others + mine), "films")
    assert building(databases, "films-documents", "staged-listing") == mine


def test_no_tasks_where_the_server_has_none() -> None:
    databases = Databases(Scripted(None, tasks=Refused(404, "not_found", "missing")), "films")
    assert building(databases, "films-documents", "staged-listing") == []
