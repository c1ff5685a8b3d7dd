"""What is answered as done is on a quorum, and a creation that finds its id taken is not the client's concern."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from app.domain.items import MAX_TAKEN
from app.domain.resource_types import DOCUMENT, PROJECT
from app.errors import Unconfirmed
from app.store import Database
from app.store import confirmed_writes as writes
from app.wiring import Services
from tests.api.conftest import Answer, Caller

KINDS = {"documents": (DOCUMENT, "title"), "projects": (PROJECT, "name")}


@pytest.mark.parametrize("method", ["POST", "PATCH", "COPY"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_repetition_is_answered_once_what_few_nodes_may_have_is_proven(
    ada: Caller, monkeypatch: pytest.MonkeyPatch, kind: str, method: str
) -> None:
    """The first run's write is stored with 202 alone, and so is its first proof."""
    monkeypatch.setattr(writes, "LOOKS", 0)
    (stored_as, name), create, replace = KINDS[kind], Database.create, Database.replace
    source = ada.post(f"/{kind}", {name: "x"}).json["id"]
    path = f"/{kind}" if method == "POST" else f"/{kind}/{source}"
    headers, body = {"Idempotency-Key": secrets.token_hex(8)}, {} if method == "COPY" else {"json": {name: "x"}}
    stored: list[str] = []

    def accepted(write: Any) -> Any:
        def single(self: Database, document: dict[str, Any]) -> Any:
            revision = write(self, document)
            if document["type"] == stored_as.name:
                stored.append(revision)
                raise Unconfirmed
            return revision

        return single

    def ask() -> Answer:
        return ada.request(method, path, headers=headers, **body)

    monkeypatch.setattr(Database, "create", accepted(create))
    monkeypatch.setattr(Database, "replace", accepted(replace))
    for count in (1, 2):
        assert ask().status_code == 503
        assert len(stored) == count
    monkeypatch.setattr(Database, "create", create)
    monkeypatch.setattr(Database, "replace", replace)
    answer = ask()
    assert answer.status_code == (200 if method == "PATCH" else 201)
    found = ada.get(f"/{kind}/{answer.json['id']}")
    assert (found.json, found.headers["ETag"]) == (answer.json, answer.headers["ETag"])
    # There is nothing but the write and its two proofs.
    revisions = [int(revision.partition("-")[0]) for revision in (*stored, found.headers["ETag"].strip('"'))]
    assert revisions == [revisions[0], revisions[0] + 1, revisions[0] + 2]


@pytest.mark.parametrize("taken", [1, MAX_TAKEN - 1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_goes_on_to_the_next_id_where_its_own_is_taken(
    ada: Caller, services: Services, kind: str, taken: int
) -> None:
    """`-meta` was restored from a backup that is older than the items."""
    (stored_as, name) = KINDS[kind]
    items = services.store[stored_as.database]
    last = ada.post(f"/{kind}", {name: "x"}).json["id"]
    former = items.get(stored_as.doc_id(last))
    assert former is not None
    del former["_rev"]
    there = [{**former, "_id": stored_as.doc_id(one), "id": one} for one in range(last + 1, last + 1 + taken)]
    tags = items.write_many(there)
    answer = ada.post(f"/{kind}", {name: "new"})
    assert (answer.status_code, answer.json.get("id")) == (201, last + 1 + taken)
    assert answer.headers["Location"].endswith(f"/{kind}/{last + 1 + taken}")
    assert ada.get(f"/{kind}/{last + 1 + taken}").headers["ETag"] == answer.headers["ETag"]
    assert {doc_id: document["_rev"] for doc_id, document in items.get_many(list(tags)).items()} == tags
