"""Check the rows of each view against its cases, in the database."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest

from app.couch.connection import Connection
from tests.design_docs.cases import TREE, cases
from tests.design_docs.conftest import Prepare
from tests.replication import replicate

VIEWS = cases("views")


@pytest.mark.parametrize(("path", "case"), VIEWS)
def test_a_view_case(
    server_url: str, connection: Connection, prepare: Prepare, path: str, case: dict[str, Any]
) -> None:
    """The value of a row also has the document's revision, as `rev`. There is no validator.

    The documents `replicated` have revisions of their own.
    """
    database, design, view = path.split("/")
    name = prepare(database, design)
    revisions = {
        document["_id"]: connection.put(name, document["_id"], body=document).body["rev"]
        for document in case["documents"]
    }
    replicated = case.get("replicated", [])
    replicate(server_url, name, *((document, [document["_rev"]]) for document in replicated))
    revisions |= {document["_id"]: document["_rev"] for document in sorted(replicated, key=itemgetter("_rev"))}
    expected = [row | {"value": row["value"] | {"rev": revisions[row["id"]]}} for row in case["rows"]]
    response = connection.get(name, "_design", design, "_view", view, params={"reduce": False})
    assert response.body["rows"] == expected


@pytest.mark.nodatabase
def test_every_view_has_cases() -> None:
    views = {
        f"{database}/{design}/{view}"
        for database, designs in TREE.items()
        for design, document in designs.items()
        for view in document.get("views", {})
    }
    assert {parameter.values[0] for parameter in VIEWS} == views
