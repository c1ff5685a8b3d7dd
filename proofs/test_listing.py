"""A listing by id answers at once after an import, while the database has not indexed it yet."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable
from contextlib import closing

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT, timestamp
from app.local_couchdb.process import poll
from app.local_couchdb.wire import request
from proofs.conftest import Installation
from tests.server.live import Live

BATCHES = int(os.environ.get("DREAMSCRIPT_PROOF_BATCHES", "1"))
REPLICATED = int(os.environ.get("DREAMSCRIPT_PROOF_REPLICATED", "1000"))
# Without a limit in the suite, which shares its machine with others.
MAX_PAGE_SECONDS = float(os.environ.get("DREAMSCRIPT_PROOF_SECONDS", "inf"))
NO_CACHE = {"Cache-Control": "no-cache"}
BATCH_SIZE, CONTENT = 1000, "x" * 8000
# The longest time until a batch is complete.
MAX_IMPORT_SECONDS = 300.0
# Replicated documents have ids above those that the service assigns here.
FIRST_REPLICATED, DOCUMENTS_PER_REQUEST = 500_001, 1000


def first_pages(live: Live, key: str, report: Callable[[str], None], imported: str) -> list[list[int]]:
    """Request the first page in both orders, one after the other; return their ids, and report their times.

    A page may be older by the lag of the feed where others write to the database, so it is read past the cache.
    """
    pages = []
    for order in ("asc", "desc"):
        began = time.monotonic()
        status, page = live.request("GET", f"/documents?limit=10&order={order}", key, headers=NO_CACHE)
        seconds = time.monotonic() - began
        report(f"first page after {imported}, {order}: {status} in {seconds:.2f} s")
        assert status == 200, page
        assert seconds < MAX_PAGE_SECONDS
        pages.append([document["id"] for document in page])
    return pages


def import_batch(live: Live, key: str) -> list[int]:
    """Create a batch of documents, and return their ids. The batch is repeated while a busy database misses some."""
    creation = {"op": "create", "value": {"title": "Imported", "content": CONTENT}}
    content = json.dumps({"operations": [creation] * BATCH_SIZE})
    headers = {"Content-Type": "application/json", "X-API-Key": key, "Idempotency-Key": secrets.token_hex(8)}

    def ids() -> list[int]:
        with closing(live.connect()) as connection:
            connection.request("POST", "/documents/batch", content, headers)
            response = connection.getresponse()
            body = json.load(response)
        assert response.status in (200, 409, 503), body
        outcomes = body.get("outcomes", [])
        return [each["id"] for each in outcomes] if all(each["status"] == 201 for each in outcomes) else []

    created = poll(ids, MAX_IMPORT_SECONDS)
    assert created, "the batch was not completed"
    return created


def test_the_first_page_after_batches_is_complete(
    live: Live, installation: Installation, report: Callable[[str], None]
) -> None:
    created: list[int] = []
    for _ in range(BATCHES):
        created += import_batch(live, installation.key)
    pages = first_pages(live, installation.key, report, f"{BATCHES} batches of {BATCH_SIZE:,} documents of 8 KB")
    assert pages == [sorted(created)[:10], sorted(created)[:-11:-1]]


def test_the_first_page_after_a_replication_is_complete(
    live: Live, installation: Installation, report: Callable[[str], None]
) -> None:
    connection, database = Connection(installation.url, timeout=300), f"{installation.prefix}-documents"
    let_lag(installation)
    ids = range(FIRST_REPLICATED, FIRST_REPLICATED + REPLICATED)
    for start in range(0, REPLICATED, DOCUMENTS_PER_REQUEST):
        documents = [replicated(public_id) for public_id in ids[start : start + DOCUMENTS_PER_REQUEST]]
        body = {"docs": documents, "new_edits": False}
        assert connection.post(database, "_bulk_docs", body=body).body == []
    pages = first_pages(live, installation.key, report, f"a replication of {REPLICATED:,} documents")
    assert pages[1] == list(ids[:-11:-1])
    began = time.monotonic()
    connection.get(database, "_design", "listing", "_view", "by_id", params={"limit": 1})
    report(f"the view itself answers after another {time.monotonic() - began:.2f} s")
    connection.close()


def let_lag(installation: Installation) -> None:
    """Keep CouchDB from updating the index while documents arrive; the embedded server has no such configuration."""
    name = f"/_node/_local/_config/ken_ignore/{installation.prefix}-documents"
    assert request(installation.url, "PUT", name, "true")[0] in (200, 404)


def replicated(public_id: int) -> dict[str, object]:
    """Return a document as a replication brings it, with a revision of its own."""
    now = timestamp()
    return {
        "_id": DOCUMENT.doc_id(public_id),
        "_rev": f"1-{public_id:032x}",
        "type": "document",
        "id": public_id,
        "title": "Replicated",
        "created_at": now,
        "updated_at": now,
    }
