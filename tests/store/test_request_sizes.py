"""However many and large documents are, no request to CouchDB is larger than it takes."""

from __future__ import annotations

import json

import pytest

from app.errors import Unavailable
from app.store import Store
from app.store import confirmed_writes as writes
from app.store.confirmed_writes import ConfirmedWrites
from tests.couch.misbehaving_server import MisbehavingServer, answer

pytestmark = pytest.mark.nodatabase

# CouchDB answers 413 to all that is larger.
LARGEST = 8_000_000


@pytest.mark.parametrize(
    ("text", "count"),
    [("x" * 1_000_000, 8), ("x" * 7_990, 1000), ("\U0001f600" * 250_000, 8), ('"' * 500_000, 8), ("\x01" * 166_000, 8)],
    ids=["large", "many", "of many bytes", "of quotes", "of what JSON escapes"],
)
def test_no_request_is_larger_than_couchdb_takes(text: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "LOOKS", 0)
    documents = [{"_id": f"document:{n:016d}", "nonce": "0" * 32, "content": text} for n in range(count)]
    with MisbehavingServer(answer(503, {"error": "busy", "reason": "busy"})) as server:
        store = Store(server.url, "p")
        results = ConfirmedWrites(store["documents"]).store_many(documents)
        store.close()
        sent = [request.body for request in server.requests]
    assert all(isinstance(result, Unavailable) for result in results.values())
    assert [each for body in sent for each in json.loads(body)["docs"]] == documents
    assert [len(body) for body in sent if len(body) >= LARGEST] == []
    # Nor are there more requests than it needs.
    assert len(sent) == 2
