"""Writes many documents in a few `_bulk_docs` requests at a time, of limited size.

CouchDB validates the documents of a request in each shard one after the other, and stores them afterwards. Several
requests at a time let one be validated while another is stored (docs/decisions/writes.md).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

from app.errors import Unavailable
from app.store.database import Database
from app.store.exchange import DocumentFailure, Outcome

# CouchDB accepts 8,000,000 bytes in one request, part of them for the JSON around the documents.
MAX_REQUEST_BYTES = 7_500_000
# Requests at a time, and the documents that are worth a request of their own.
PARALLEL_REQUESTS = 3
MIN_DOCUMENTS = 100
# The most bytes of a character in JSON, as an escape, and of a member's name, number or constant.
CHARACTER_BYTES, MEMBER_BYTES = 6, 64

Document = Mapping[str, Any]


def write_in_parts(database: Database, documents: Sequence[Document]) -> dict[str, Outcome]:
    """Write different documents, and return the outcome of each by `_id`.

    Each is stored or not independently, in one request as in several. The outcomes of a part that failed are UNKNOWN.
    """
    outcomes: dict[str, Outcome] = {}
    pending = list(parts(documents))
    if len(pending) < 2:
        return _write(database, documents)

    def write(context: Context, part: list[Document]) -> dict[str, Outcome]:
        return context.run(_write, database, part)

    # The deadline and the id of the request are in the context, which only one thread at a time can enter.
    contexts = [copy_context() for _ in pending]
    with ThreadPoolExecutor(min(PARALLEL_REQUESTS, len(pending))) as threads:
        for written in threads.map(write, contexts, pending):
            outcomes |= written
    return outcomes


def _write(database: Database, documents: Sequence[Document]) -> dict[str, Outcome]:
    try:
        return database.write_many(documents)
    except Unavailable:
        # Some may have been sent and others not; sending all of them again finds out.
        return {document["_id"]: DocumentFailure.UNKNOWN for document in documents}


def parts(documents: Sequence[Document]) -> Iterator[list[Document]]:
    """Yield the documents in parts for PARALLEL_REQUESTS, each of at most MAX_REQUEST_BYTES."""
    requests = max(1, min(PARALLEL_REQUESTS, len(documents) // MIN_DOCUMENTS))
    count = math.ceil(len(documents) / requests)
    sizes = list(map(most_bytes, documents))
    if sum(sizes) > MAX_REQUEST_BYTES:
        sizes = list(map(_bytes, documents))
    part: list[Document] = []
    part_bytes = 0
    for document, size in zip(documents, sizes, strict=True):
        if part and (len(part) == count or part_bytes + size > MAX_REQUEST_BYTES):
            yield part
            part, part_bytes = [], 0
        part.append(document)
        part_bytes += size
    if part:
        yield part


def most_bytes(document: Document) -> int:
    """Return at least the bytes of a document whose members are texts and numbers, much faster than ``_bytes``."""
    characters = sum(len(value) for value in document.values() if isinstance(value, str))
    nested = sum(most_bytes(value) for value in document.values() if isinstance(value, dict))
    return CHARACTER_BYTES * characters + MEMBER_BYTES * len(document) + nested


def _bytes(document: Document) -> int:
    """Return the bytes of a document in JSON."""
    return len(json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace"))
