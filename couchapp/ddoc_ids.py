"""The three places of a design document: deployed, staged beside it, and the previous one kept for rollback; pure."""

from __future__ import annotations

from collections.abc import Mapping

from couchapp.tree import Document

# CouchDB runs the validator of every design document, whatever its name, so that one at rest keeps it under another.
VALIDATOR = "validate_doc_update"
KEPT_VALIDATOR = "kept_validate_doc_update"
STAGED = "staged-"
PREVIOUS = "previous-"
# By this a previous design document tells which tree has replaced it.
REPLACED_BY = "replaced_by"
# By this a staged design document tells that a rollback goes back to it.
ROLLING_BACK = "rolling_back"
OWN_MEMBERS = frozenset({"_id", "_rev", "autoupdate", REPLACED_BY, ROLLING_BACK})


def content(document: Mapping[str, object]) -> Document:
    """Return what a design document says, wherever it lies and whether its validator is at rest or not."""
    found = {name: value for name, value in document.items() if name not in OWN_MEMBERS}
    if KEPT_VALIDATOR in found:
        found[VALIDATOR] = found.pop(KEPT_VALIDATOR)
    return found


def deployed(name: str, document: Mapping[str, object]) -> Document:
    """Return ``document`` as it is deployed, under its own name."""
    return {"_id": f"_design/{name}", **content(document)}


def staged(name: str, document: Mapping[str, object], *, rolling_back: bool = False) -> Document:
    """Return ``document`` as it is staged: its index is built, and its validator is not run."""
    mark = {ROLLING_BACK: True} if rolling_back else {}
    return {"_id": f"_design/{STAGED}{name}", **_at_rest(content(document)), **mark}


def previous(name: str, document: Mapping[str, object], replaced_by: str) -> Document:
    """Return ``document`` as it is kept; its index stays, and is brought up to date by a rollback only."""
    kept = _at_rest(content(document))
    return {"_id": f"_design/{PREVIOUS}{name}", **kept, "autoupdate": False, REPLACED_BY: replaced_by}


def is_at_rest(name: str) -> bool:
    """Tell whether ``name`` is that of a staged or a previous design document."""
    return name.startswith((STAGED, PREVIOUS))


def _at_rest(document: Document) -> Document:
    return {KEPT_VALIDATOR if name == VALIDATOR else name: value for name, value in document.items()}
