"""Many documents are written in a few requests at a time, each with its own outcomes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Barrier
from typing import Any, cast

import pytest

from app.errors import Unavailable, Unconfirmed
from app.request_context import current_request_id, request_context
from app.store import bulk_writes
from app.store.bulk_writes import MAX_REQUEST_BYTES, MIN_DOCUMENTS, PARALLEL_REQUESTS, parts, write_in_parts
from app.store.database import Database
from app.store.exchange import DocumentFailure, Outcome
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase


def documents(count: int, **members: Any) -> list[dict[str, Any]]:
    """Return documents with these members."""
    return [{"_id": str(number), **members} for number in range(count)]


class Recorder:
    """A database that stores all documents, and fails in requests with ``failing``."""

    def __init__(self, failing: str | None = None, error: type[Unavailable] = Unavailable, at_once: int = 1) -> None:
        self._failing, self._error, self._barrier = failing, error, Barrier(at_once)
        self.requests: list[list[str]] = []
        self.request_ids: list[str | None] = []

    def write_many(self, written: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
        """Wait until all requests are sent, and store."""
        self._barrier.wait(MAX_WAIT_SECONDS)
        doc_ids = [document["_id"] for document in written]
        self.requests.append(doc_ids)
        self.request_ids.append(current_request_id())
        if self._failing in doc_ids:
            raise self._error
        return dict.fromkeys(doc_ids, "1-a")


def write(recorder: Recorder, written: Sequence[Mapping[str, Any]]) -> dict[str, Outcome]:
    """Write in the request "r-1"."""
    with request_context(request_id="r-1", seconds=MAX_WAIT_SECONDS):
        return write_in_parts(cast(Database, recorder), written)


@pytest.mark.parametrize("count", [0, 1, 2 * MIN_DOCUMENTS - 1])
def test_few_documents_are_written_in_one_request(count: int) -> None:
    recorder = Recorder()
    assert write(recorder, documents(count)) == {str(number): "1-a" for number in range(count)}
    assert len(recorder.requests) == 1


@pytest.mark.parametrize(
    ("count", "sizes"), [(2 * MIN_DOCUMENTS, [100, 100]), (299, [150, 149]), (1000, [334, 334, 332])]
)
def test_many_documents_are_written_in_several_requests_at_once(count: int, sizes: list[int]) -> None:
    recorder = Recorder(at_once=len(sizes))
    assert write(recorder, documents(count)) == {str(number): "1-a" for number in range(count)}
    assert sorted(map(len, recorder.requests), reverse=True) == sizes
    assert recorder.request_ids == ["r-1"] * len(sizes)


@pytest.mark.parametrize("error", [Unavailable, Unconfirmed])
def test_only_the_part_that_failed_is_unknown(error: type[Unavailable]) -> None:
    outcomes = write(Recorder("0", error), documents(3 * MIN_DOCUMENTS))
    unknown = [int(doc_id) for doc_id, outcome in outcomes.items() if outcome is DocumentFailure.UNKNOWN]
    assert sorted(unknown) == list(range(MIN_DOCUMENTS))
    assert len(outcomes) == 3 * MIN_DOCUMENTS


@pytest.mark.parametrize("character", ["x", "\x01", '"', "é", "\u20ac", "\U0001f600", "\ud800"])
def test_no_request_is_larger_than_the_limit(character: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writes, "MAX_REQUEST_BYTES", 1000)
    written = documents(40, title=character * 30, id=2**53 - 1)
    split = list(parts(written))
    assert [document for part in split for document in part] == written
    for part in split:
        encoded = [json.dumps(each, ensure_ascii=False).encode("utf-8", "backslashreplace") for each in part]
        assert sum(map(len, encoded)) <= 1000
    assert len(split) > 2


def test_large_documents_share_requests_up_to_the_limit() -> None:
    """The estimate of their size is too high for that; their bytes are counted."""
    assert list(map(len, parts(documents(10, content="x" * (MAX_REQUEST_BYTES // 5 - 100))))) == [5, 5]


def test_a_document_over_the_limit_is_sent_alone() -> None:
    assert list(map(len, parts(documents(2, content="x" * MAX_REQUEST_BYTES)))) == [1, 1]


def test_there_are_no_more_requests_at_once_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writes, "MAX_REQUEST_BYTES", 500)
    recorder = Recorder(at_once=PARALLEL_REQUESTS)
    write(recorder, documents(3 * PARALLEL_REQUESTS, content="x" * 400))
    assert list(map(len, recorder.requests)) == [1] * 3 * PARALLEL_REQUESTS
