"""Check that a JavaScript error is found before anything is stored, even if the server would ignore it."""

from __future__ import annotations

from typing import Any

import pytest

from app.couch.connection import Connection
from couchapp.smoke_test import SmokeTestError
from tests.couchapp.conftest import Deploying
from tests.couchapp.trees import small_tree


def broken(view: dict[str, str] | None = None, validator: str | None = None) -> Any:
    """Return the small tree with other functions."""
    tree = small_tree(value=2)
    if view:
        tree["documents"]["listing"]["views"]["by_id"].update(view)
    if validator:
        tree["documents"]["validation"]["validate_doc_update"] = validator
    return tree


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (broken({"map": "(doc) => { emit( }"}), "listing/views/by_id/map.js: does not compile: [^(]+$"),
        (broken({"map": "(doc) => { emit(doc.a.b); }"}), "map.js: it throws TypeError"),
        (broken({"map": "(doc) => { emitt(doc._id); }"}), "map.js: it throws ReferenceError"),
        (broken({"map": "(42)"}), "map.js: it throws TypeError"),
        (broken({"reduce": "(keys, values) => { return ( }"}), "views/by_id/reduce: does not compile: [^(]+$"),
        (broken(validator="(newDoc) => { if ( }"), "validation/validate_doc_update.js: does not compile: [^(]+$"),
        (broken(validator="(newDoc) => { check(newDoc); }"), "update.js: it throws ReferenceError"),
        (broken(validator="(newDoc) => { throw(new Error('no')); }"), "update.js: it throws Error: no"),
        (broken(validator="(newDoc) => { newDoc.title.length; }"), "update.js: it throws TypeError"),
        (broken(validator="(newDoc, oldDoc) => { if (oldDoc) { oldDoc.a.b; } }"), "it throws TypeError"),
    ],
)
def test_an_error_is_reported_and_nothing_is_stored(
    connection: Connection, prefix: str, deploying: Deploying, tree: Any, message: str
) -> None:
    deploying(small_tree()).deploy()
    before = deploying(tree).inventory()
    with pytest.raises(SmokeTestError, match=message):
        deploying(tree).deploy()
    assert deploying(tree).inventory() == before
    assert not [name for name in connection.get("_all_dbs").body if name.startswith(f"{prefix}-smoke-test")]


def test_existing_documents_are_samples(connection: Connection, prefix: str, deploying: Deploying) -> None:
    deploying(small_tree()).deploy()
    connection.put(f"{prefix}-documents", "rare", body={"colour": "red", "parts": "none"})
    tree = broken({"map": "(doc) => { if (doc.parts) { emit(doc.parts.first.name); } }"})
    with pytest.raises(SmokeTestError, match=r"it throws TypeError.* for rare"):
        deploying(tree).deploy()


def test_a_custom_reduce_passes(deploying: Deploying) -> None:
    deploying(broken({"reduce": "(keys, values, rereduce) => {\n  return values.length;\n}"})).deploy()
