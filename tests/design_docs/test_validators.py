"""Check each validator against its cases, in the database."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.couch.connection import Connection, Refused
from tests.design_docs.cases import TREE, cases
from tests.design_docs.conftest import Prepare

VALIDATORS = cases("validators")
TIMES = {"created_at": "2026-01-31T12:00:00.123456Z", "updated_at": "2026-01-31T12:00:00.123456Z"}
DOCUMENT: dict[str, Any] = {"_id": "document:0000000000000007", "type": "document", "id": 7, **TIMES}
CLAIM: dict[str, Any] = {
    "_id": "claim:document:0000000000000007",
    "type": "claim",
    "kind": "document",
    "number": 7,
    "region": 0,
}


def put(connection: Connection, database: str, document: dict[str, Any]) -> str:
    """Store a document and return its revision."""
    rev: str = connection.put(database, document["_id"], body=document).body["rev"]
    return rev


@pytest.mark.parametrize(("database_name", "case"), VALIDATORS)
def test_a_validator_case(
    connection: Connection, prepare: Prepare, unwritten: Prepare, database_name: str, case: dict[str, Any]
) -> None:
    new, is_refused_create = case["new"], case["old"] is None and case["throws"] is not None
    name = (unwritten if is_refused_create else prepare)(database_name, "validation")
    if case["old"] is not None:
        new = {**new, "_rev": put(connection, name, case["old"])}
    if case["throws"] is None:
        put(connection, name, new)
        return
    with pytest.raises(Refused) as caught:
        put(connection, name, new)
    assert caught.value.status in (400, 403)
    assert re.search(case["throws"], caught.value.reason), caught.value.reason


@pytest.mark.nodatabase
def test_every_database_has_a_validator_with_cases() -> None:
    with_cases = {parameter.values[0] for parameter in VALIDATORS}
    assert with_cases == {database for database in TREE if "validation" in TREE[database]} == set(TREE)


@pytest.mark.parametrize("database_name", TREE)
def test_a_document_can_be_saved_as_it_was_read(connection: Connection, prepare: Prepare, database_name: str) -> None:
    """Some responses have members that begin with an underscore; clients save them, CouchDB does not store them."""
    name = prepare(database_name, "validation")
    new = next(case.values[1]["new"] for case in VALIDATORS if case.values[0] == database_name)
    put(connection, name, new)
    stored = connection.get(name, new["_id"], params={"revs": True, "conflicts": True, "local_seq": True}).body
    put(connection, name, stored)


def test_a_second_create_is_a_conflict(connection: Connection, prepare: Prepare) -> None:
    """The loser of a race for a claim must get a conflict, not a validation error."""
    name = prepare("meta", "validation")
    put(connection, name, {**CLAIM, "created_at": TIMES["created_at"]})
    with pytest.raises(Refused) as caught:
        put(connection, name, {**CLAIM, "region": 1, "created_at": "2026-02-01T00:00:00.000000Z"})
    assert caught.value.status == 409


@pytest.mark.couchdb
def test_conflicting_revisions_arrive_by_replication(connection: Connection, prepare: Prepare) -> None:
    """In a database with a validator, PouchDB Server gives each replicated revision the current one's history."""
    name = prepare("documents", "validation")
    first = put(connection, name, {**DOCUMENT, "title": "First"})
    branches = [
        {
            **DOCUMENT,
            "title": title,
            "_rev": f"2-{digest}",
            "_revisions": {"start": 2, "ids": [digest, first.removeprefix("1-")]},
        }
        for title, digest in (("Here", "a" * 32), ("There", "b" * 32))
    ]
    connection.post(name, "_bulk_docs", body={"new_edits": False, "docs": branches})
    winner = connection.get(name, DOCUMENT["_id"], params={"conflicts": True}).body
    assert (winner["title"], winner["_conflicts"]) == ("There", [f"2-{'a' * 32}"])
    connection.put(name, DOCUMENT["_id"], body={"_id": DOCUMENT["_id"], "_rev": f"2-{'a' * 32}", "_deleted": True})
    assert "_conflicts" not in connection.get(name, DOCUMENT["_id"], params={"conflicts": True}).body


def test_an_invalid_document_does_not_arrive_by_replication(connection: Connection, prepare: Prepare) -> None:
    name = prepare("documents", "validation")
    broken = {**DOCUMENT, "title": "", "_rev": f"1-{'a' * 32}", "_revisions": {"start": 1, "ids": ["a" * 32]}}
    connection.post(name, "_bulk_docs", body={"new_edits": False, "docs": [broken]})
    with pytest.raises(Refused) as caught:
        connection.get(name, DOCUMENT["_id"])
    assert caught.value.status == 404


def test_a_revision_of_an_absent_document_is_a_conflict(connection: Connection, prepare: Prepare) -> None:
    """Without a validator CouchDB accepts it (docs/couchdb-quirks.md)."""
    name = prepare("documents", "validation")
    with pytest.raises(Refused) as caught:
        put(connection, name, {**DOCUMENT, "title": "A", "_rev": f"1-{'a' * 32}"})
    assert caught.value.status == 409
