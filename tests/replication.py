"""Store versions of an item side by side, as replication does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from app.couch.connection import Connection


def replicate(server_url: str, database: str, *branches: tuple[Mapping[str, Any], Sequence[str]]) -> None:
    """Store each document with its lineage, newest revision first, beside the revisions that are there."""
    documents = [{**document, "_rev": lineage[0], "_revisions": _revisions(lineage)} for document, lineage in branches]
    with closing(Connection(server_url, timeout=30)) as connection:
        body = {"docs": documents, "new_edits": False}
        results = connection.request("POST", database, "_bulk_docs", body=body).body
    assert results == [], results


def revision(generation: int, letter: str) -> str:
    """Return a revision of ``generation`` whose hash repeats ``letter``, by which revisions are ordered."""
    return f"{generation}-{letter * 32}"


def _revisions(lineage: Sequence[str]) -> dict[str, Any]:
    return {
        "start": int(lineage[0].partition("-")[0]),
        "ids": [each.partition("-")[2] for each in lineage],
    }
