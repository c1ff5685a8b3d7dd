"""A walk over many documents during creates and deletes shows every lasting document exactly once."""

from __future__ import annotations

import os
from itertools import cycle

from app import create_app
from app.couch.connection import Connection
from app.domain.resources import DOCUMENT, timestamp
from proofs.conftest import Installation
from tests.api.conftest import Caller

COUNT = int(os.environ.get("DREAMSCRIPT_WALK", "400"))


def document(public_id: int) -> dict[str, object]:
    """Return a stored document."""
    now = timestamp()
    return {
        "_id": DOCUMENT.doc_id(public_id),
        "type": "document",
        "id": public_id,
        "title": str(public_id),
        "created_at": now,
        "updated_at": now,
    }


class Bystanders:
    """Create and delete documents with odd ids, while those with even ids stay."""

    def __init__(self, connection: Connection, database: str) -> None:
        self._connection, self._database = connection, database
        self._revisions: dict[int, str] = {}
        self._places = cycle(range(1, 2 * COUNT, 2 * COUNT // 97 * 2 + 2))

    def stir(self) -> None:
        """Create a document with a random id, or delete it if it exists."""
        place = next(self._places)
        if place in self._revisions:
            gone = {"_id": DOCUMENT.doc_id(place), "_rev": self._revisions.pop(place), "_deleted": True}
            self._connection.post(self._database, "_bulk_docs", body={"docs": [gone]})
        else:
            written = self._connection.put(self._database, DOCUMENT.doc_id(place), body=document(place))
            self._revisions[place] = written.body["rev"]


def test_every_lasting_document_is_shown_exactly_once(installation: Installation) -> None:
    app = create_app(installation.settings)
    reader = Caller(app, installation.key)
    connection, database = Connection(installation.url, timeout=60), f"{installation.prefix}-documents"
    stays = range(2, 2 * COUNT + 2, 2)
    for start in range(0, COUNT, 1000):
        connection.post(database, "_bulk_docs", body={"docs": [document(i) for i in stays[start : start + 1000]]})
    others = Bystanders(connection, database)
    for order in ("asc", "desc"):
        met: list[int] = []
        url = f"/documents?limit=50&order={order}"
        while url:
            for _ in range(3):
                others.stir()
            answer = reader.get(url)
            met += [item["id"] for item in answer.json]
            url = answer.headers.get("x-next", "")
        assert len(met) == len(set(met))
        assert [i for i in met if i % 2 == 0] == sorted(stays, reverse=order == "desc")
        assert any(i % 2 for i in met), "the bystanders were never seen, so nothing was stirred"
    connection.close()
    app.close()
