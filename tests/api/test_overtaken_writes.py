"""Writes that race with other writes between their read and their write."""

from __future__ import annotations

from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.domain.items import MAX_TAKEN_IDS
from app.domain.resources import DOCUMENT
from app.services import Services
from app.store import Database
from app.store.claimed_ids import Allocator
from tests.api.conftest import Caller
from tests.api.test_batches import outcomes, send
from tests.api.test_undone_writes import current


@pytest.mark.parametrize("batch", [False, True])
def test_a_patch_is_not_composed_on_another_revision_than_it_names(
    ada: Caller, services: Services, monkeypatch: pytest.MonkeyPatch, batch: bool
) -> None:
    """A node that lags answers the read, and one that does not would take the write."""
    one = ada.post("/documents", {"title": "old"}).json["id"]
    path, doc_id = f"/documents/{one}", DOCUMENT.doc_id(one)
    lagging = services.store["documents"].get(doc_id)
    tag = ada.request("PATCH", path, json={"content": "acknowledged"}).headers["ETag"]
    monkeypatch.setattr(Database, "get", lambda *_, **__: lagging)
    monkeypatch.setattr(Database, "get_many", lambda *_, **__: {doc_id: lagging})
    if batch:
        answer = send(ada, [{"op": "patch", "id": one, "value": {"title": "new"}, "if_match": tag}])
        statuses = [each["status"] for each in outcomes(answer)]
    else:
        statuses = [ada.request("PATCH", path, json={"title": "new"}, headers={"If-Match": tag}).status_code]
    monkeypatch.undo()
    assert statuses == [412]
    assert current(ada, path) == {"id": one, "title": "old", "content": "acknowledged"}


@pytest.mark.parametrize(("mode", "status"), [("hide", 404), ("forbid", 403)])
@pytest.mark.parametrize("batch", [False, True])
def test_the_tag_of_a_document_that_left_the_scope_of_a_key_is_not_shown(
    ada: Caller,
    app: Application,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    batch: bool,
    mode: Any,
    status: int,
) -> None:
    """The document is moved by others between the read and the conditional write of a limited key."""
    inside, outside = (ada.new_project()["id"] for _ in range(2))
    one = ada.post("/documents", {"title": "x", "project_id": inside})
    path, tag = f"/documents/{one.json['id']}", one.headers["ETag"]
    few = Caller(app, services.keys.create("few", SCOPES, projects=[inside], out_of_scope=mode)[1])
    name = "get_many" if batch else "get"
    read = getattr(Database, name)

    def overtaken(self: Database, *args: Any, **options: Any) -> Any:
        documents = read(self, *args, **options)
        if self.name.endswith("-documents"):
            monkeypatch.undo()
            assert ada.request("PATCH", path, json={"project_id": outside}).status_code == 200
        return documents

    monkeypatch.setattr(Database, name, overtaken)
    if batch:
        answer = send(few, [{"op": "patch", "id": one.json["id"], "value": {"title": "y"}, "if_match": tag}])
        [outcome] = outcomes(answer)
        assert outcome["status"] == status
        assert "etag" not in outcome
    else:
        refused = few.request("PATCH", path, json={"title": "y"}, headers={"If-Match": tag})
        assert refused.status_code == status
        assert "ETag" not in refused.headers
    assert current(ada, path)["title"] == "x"


@pytest.mark.parametrize("taken", [1, MAX_TAKEN_IDS - 1])
def test_a_creation_whose_id_is_taken_gets_the_next_one(ada: Caller, services: Services, taken: int) -> None:
    """`-meta` was restored from a backup that is older than the items."""
    documents, last = services.store["documents"], ada.new_document()["id"]
    former = documents.get(DOCUMENT.doc_id(last))
    assert former is not None
    del former["_rev"]
    ids = range(last + 1, last + 1 + taken)
    tags = documents.write_many([{**former, "_id": DOCUMENT.doc_id(each), "id": each} for each in ids])
    answer = ada.post("/documents", {"title": "new"})
    assert (answer.status_code, answer.json.get("id")) == (201, last + 1 + taken)
    assert {doc_id: document["_rev"] for doc_id, document in documents.get_many(list(tags)).items()} == tags


def test_a_refused_creation_uses_up_no_id(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr(Allocator, "next_ids", lambda _, count: counts.append(count))
    assert ada.post("/documents", {"title": "x", "project_id": 987654321}).status_code == 400
    assert counts == []
