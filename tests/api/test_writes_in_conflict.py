"""Writes to an item in conflict: refused unless they name the current version."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.resources import DOCUMENT
from app.services import Services
from app.store.leaves import MAX_LEAVES
from tests.api.clashes import NAMES, TEXTS, clash, every_kind, resolve
from tests.api.conflicts import bring_versions
from tests.api.conftest import Caller
from tests.replication import replicate


@every_kind
@pytest.mark.parametrize("header", [{}, {"If-Match": "*"}], ids=["no condition", "any version"])
def test_a_write_that_names_no_version_is_refused(
    ada: Caller, services: Services, kind: str, header: dict[str, str]
) -> None:
    public_id, tags = clash(ada, services, kind)
    path, value = f"/{kind}/{public_id}", {NAMES[kind]: "New"}
    for method in ("PUT", "PATCH", "DELETE"):
        body = {} if method == "DELETE" else {"json": value}
        answer = ada.request(method, path, headers=header, **body)
        assert (answer.status_code, answer.json["error"]) == (409, "unresolved_conflict")
        assert f"GET {path}/conflicts" in answer.json["reason"]
    assert ada.get(path).headers["ETag"] == tags[0]


@every_kind
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_write_that_names_the_current_version_extends_it(
    ada: Caller, services: Services, kind: str, method: str
) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    stale = ada.request(method, path, json={NAMES[kind]: "New"}, headers={"If-Match": tags[1]})
    assert (stale.status_code, stale.headers["ETag"]) == (412, tags[0])
    answer = ada.request(method, path, json={NAMES[kind]: "New"}, headers={"If-Match": tags[0]})
    assert (answer.status_code, answer.headers["x-conflict"]) == (200, "true")
    versions = ada.get(f"{path}/conflicts").json["versions"]
    assert [version["etag"] for version in versions] == [answer.headers["ETag"], tags[1]]


@every_kind
def test_a_deletion_that_names_the_current_version_deletes_all(ada: Caller, services: Services, kind: str) -> None:
    public_id, tags = clash(ada, services, kind)
    path = f"/{kind}/{public_id}"
    assert ada.request("DELETE", path, headers={"If-Match": tags[0]}).status_code == 204
    assert [ada.get(each).status_code for each in (path, f"{path}/conflicts")] == [404, 404]
    assert resolve(ada, path, tags, keep=tags[0]).status_code == 404


def test_a_deletion_deletes_very_many_versions(ada: Caller, services: Services) -> None:
    document_id = ada.new_document("Base")["id"]
    stored = services.store["documents"].get(DOCUMENT.doc_id(document_id))
    assert stored is not None
    base, count = stored.pop("_rev"), 2 * MAX_LEAVES + 1
    lineages = [(f"2-{number:032x}", base) for number in range(count)]
    branches = [({**stored, "title": lineage[0], "nonce": lineage[0][2:]}, lineage) for lineage in lineages]
    replicate(services.settings.couchdb_url, services.store["documents"].name, *branches)
    winner = ada.get(f"/documents/{document_id}")
    assert winner.headers["x-conflict"] == "true"
    headers = {"If-Match": winner.headers["ETag"]}
    assert ada.request("DELETE", f"/documents/{document_id}", headers=headers).status_code == 204
    assert ada.get(f"/documents/{document_id}").status_code == 404


def test_operations_of_a_batch_are_refused_like_single_ones(ada: Caller, services: Services) -> None:
    document_id, tags = clash(ada, services)
    value = {"title": "New"}
    operations: list[dict[str, Any]] = [
        {"op": "replace", "id": document_id, "value": value},
        {"op": "patch", "id": document_id, "value": value},
        {"op": "delete", "id": document_id},
        {"op": "merge", "id": document_id, "base": value, "value": value},
        {"op": "merge", "id": document_id, "base": value, "value": value, "if_match": tags[0]},
        {"op": "replace", "id": document_id, "value": value, "if_match": tags[1]},
        {"op": "patch", "id": document_id, "value": value, "if_match": tags[0]},
        {"op": "patch", "id": document_id, "value": value},
    ]
    outcomes = ada.post("/documents/batch", {"operations": operations, "return": "current"}).json["outcomes"]
    assert [(outcome["status"], outcome.get("error")) for outcome in outcomes] == [
        *[(409, "unresolved_conflict")] * 5,
        (412, "precondition_failed"),
        (200, None),
        (409, "unresolved_conflict"),
    ]
    assert outcomes[0]["current"]["value"]["title"] == "New"
    deletion = {"op": "delete", "id": document_id, "if_match": outcomes[6]["etag"]}
    assert ada.post("/documents/batch", {"operations": [deletion]}).json["outcomes"][0]["status"] == 204
    assert ada.get(f"/documents/{document_id}").status_code == 404


def test_a_copy_is_made_of_the_current_version(ada: Caller, services: Services) -> None:
    document_id, _ = clash(ada, services)
    answer = ada.post(f"/documents/{document_id}/copy", {})
    assert (answer.status_code, answer.json["title"], "x-conflict" in answer.headers) == (201, "Ours", False)


@every_kind
def test_versions_that_can_be_merged_stop_no_write(ada: Caller, services: Services, kind: str) -> None:
    name, text = NAMES[kind], TEXTS[kind]
    public_id = ada.post(f"/{kind}", {name: "Base", text: "one\n"}).json["id"]
    bring_versions(services, kind, public_id, {name: "New"}, {text: "two\n"})
    path = f"/{kind}/{public_id}"
    view = ada.get(f"{path}/conflicts").json
    assert (view["reason"], view["pending"], len(view["versions"])) == (None, True, 2)
    assert "x-conflict" not in ada.get(path).headers
    assert ada.request("PATCH", path, json={name: "Newer"}).status_code == 200
    assert ada.request("DELETE", path).status_code == 204
    assert ada.get(path).status_code == 404
