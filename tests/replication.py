"""Store versions of an item side by side, as replication does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote

from app.couch.connection import Connection
from app.local_couchdb.wire import request


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


class Replication:
    """Copies all leaves of a database to another, as CouchDB's replicator does, from where it ended the last time."""

    def __init__(self, source: str, target: str) -> None:
        """Each is the URL of a database, with credentials."""
        self._source, self._target = source, target
        self._place: object = 0

    def run(self) -> None:
        """Copy the leaves of the documents that have changed."""
        changes = _ask(self._source, "GET", f"/_changes?style=all_docs&since={quote(str(self._place))}")
        rows = [row for row in changes["results"] if not row["id"].startswith("_design/")]
        revisions = [{"id": row["id"], "rev": each["rev"]} for row in rows for each in row["changes"]]
        if revisions:
            results = _ask(self._source, "POST", "/_bulk_get?revs=true", {"docs": revisions})["results"]
            documents = [each["ok"] for result in results for each in result["docs"] if "ok" in each]
            assert _ask(self._target, "POST", "/_bulk_docs", {"docs": documents, "new_edits": False}) == []
        self._place = changes["last_seq"]


def _ask(url: str, method: str, path: str, body: object = None) -> Any:
    status, answer = request(url, method, path, body)
    assert status in (200, 201), answer
    return answer
