"""What would change, and what it costs: a new index, a rebuild, or nothing that a reader could feel."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from couchapp import ddoc_ids
from couchapp.diff import differences, strangers
from couchapp.tree import Document, Tree
from tests.couchapp.trees import small_tree

pytestmark = pytest.mark.nodatabase

DEPLOYED = small_tree()
LISTING = DEPLOYED["documents"]["listing"]
VALIDATION = DEPLOYED["documents"]["validation"]


def revised(tree: Tree) -> Tree:
    """Return what a database would answer: the same with revisions."""
    return {
        database: {name: {**document, "_rev": "1-0"} for name, document in documents.items()}
        for database, documents in tree.items()
    }


def costs(wanted: Tree, deployed: Tree) -> list[tuple[str, tuple[str, ...]]]:
    """Return the names of what differs, each with its costs."""
    return [(change.name, change.costs) for change in differences(wanted, revised(deployed))]


def test_nothing_differs_from_itself() -> None:
    assert differences(DEPLOYED, revised(DEPLOYED)) == []


def test_a_missing_database_lacks_everything() -> None:
    expected = [("listing", ("new index",)), ("validation", ("validator",))]
    assert [(change.name, change.costs) for change in differences(DEPLOYED, {"documents": None})] == expected
    assert [(change.name, change.costs) for change in differences(DEPLOYED, {})] == expected
    assert str(differences(DEPLOYED, {})[0]) == "documents/_design/listing is not deployed: new index"


def in_both(document: Document) -> Tree:
    return {"documents": {"both": document}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda both: both["views"]["by_id"].update(map="(doc) => {}"), ("index rebuild",)),
        (lambda both: both["views"]["by_id"].update(reduce="_count"), ("index rebuild",)),
        (lambda both: both["views"].update(more={"map": "(doc) => {}"}), ("index rebuild",)),
        (lambda both: both.update(options={"local_seq": True}), ("index rebuild",)),
        (lambda both: both.update(validate_doc_update="(a) => {}"), ("validator",)),
        (lambda both: both.pop("validate_doc_update"), ("validator",)),
        (lambda both: both.update(note="x"), ("other",)),
        (lambda both: both.pop("views"), ("other",)),
        (
            lambda both: both.update(views={"a": {"map": "(doc) => {}"}}, validate_doc_update="(a) => {}"),
            ("index rebuild", "validator"),
        ),
    ],
)
def test_costs(change: Callable[[Document], object], expected: tuple[str, ...]) -> None:
    before = {**LISTING, **VALIDATION}
    after = deepcopy(before)
    change(after)
    assert costs(in_both(after), in_both(before)) == [("both", expected)]


def test_the_change_is_shown_file_by_file() -> None:
    change = differences(small_tree(value=2), revised(DEPLOYED))[0]
    assert change.text().splitlines() == [
        "--- deployed/documents/listing/views/by_id/map.js",
        "+++ wanted/documents/listing/views/by_id/map.js",
        "@@ -1,3 +1,3 @@",
        " (doc) => {",
        "-  emit(doc._id, 1);",
        "+  emit(doc._id, 2);",
        " }",
    ]


def test_strangers_are_named_and_nothing_else() -> None:
    there = revised(DEPLOYED)
    staged, kept = ddoc_ids.staged("listing", LISTING), ddoc_ids.previous("listing", LISTING, "x")
    there["documents"] |= {"staged-listing": staged, "previous-listing": kept, "theirs": {"_id": "_design/theirs"}}
    assert strangers(DEPLOYED, there) == ["documents/_design/theirs"]
    assert differences(DEPLOYED, there) == []


def test_a_design_document_at_rest_has_no_validator_and_loses_none() -> None:
    for resting in (ddoc_ids.staged("validation", VALIDATION), ddoc_ids.previous("validation", VALIDATION, "x")):
        assert "validate_doc_update" not in resting
        assert ddoc_ids.deployed("validation", {**resting, "_rev": "1-0"}) == VALIDATION
