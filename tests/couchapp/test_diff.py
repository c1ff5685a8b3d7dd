"""Check the differences between a tree and the deployed design documents, and their costs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest

from couchapp import ddoc_ids
from couchapp.diff import differences, unmanaged
from couchapp.tree import Document, Tree
from tests.couchapp.trees import small_tree

pytestmark = pytest.mark.nodatabase

DEPLOYED = small_tree()
LISTING = DEPLOYED["documents"]["listing"]
VALIDATION = DEPLOYED["documents"]["validation"]


def revised(tree: Tree) -> Tree:
    """Return the tree as CouchDB returns it, with revisions."""
    return {
        database: {name: {**document, "_rev": "1-0"} for name, document in documents.items()}
        for database, documents in tree.items()
    }


def costs(tree: Tree, deployed: Tree) -> list[tuple[str, tuple[str, ...]]]:
    """Return the names of the differences, each with its costs."""
    return [(change.name, change.costs) for change in differences(tree, revised(deployed))]


def test_a_deployed_tree_has_no_differences() -> None:
    assert differences(DEPLOYED, revised(DEPLOYED)) == []


def test_a_missing_database_needs_everything() -> None:
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


def test_a_change_is_shown_as_a_diff_of_files() -> None:
    change = differences(small_tree(value=2), revised(DEPLOYED))[0]
    assert change.text().splitlines() == [
        "--- deployed/documents/listing/views/by_id/map.js",
        "+++ tree/documents/listing/views/by_id/map.js",
        "@@ -1,3 +1,3 @@",
        " (doc) => {",
        "-  emit(doc._id, 1);",
        "+  emit(doc._id, 2);",
        " }",
    ]


def test_unmanaged_design_documents_are_listed_and_not_changed() -> None:
    deployed = revised(DEPLOYED)
    staged, previous = ddoc_ids.staged("listing", LISTING), ddoc_ids.previous("listing", LISTING, "x")
    deployed["documents"] |= {
        "staged-listing": staged,
        "previous-listing": previous,
        "other": {"_id": "_design/other"},
    }
    assert unmanaged(DEPLOYED, deployed) == ["documents/_design/other"]
    assert differences(DEPLOYED, deployed) == []


def test_a_disabled_validator_is_restored_on_deployment() -> None:
    for disabled in (ddoc_ids.staged("validation", VALIDATION), ddoc_ids.previous("validation", VALIDATION, "x")):
        assert "validate_doc_update" not in disabled
        assert ddoc_ids.deployed("validation", {**disabled, "_rev": "1-0"}) == VALIDATION
