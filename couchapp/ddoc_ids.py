"""The three ids of a design document: deployed, staged- before it is deployed, previous- for rollback; pure."""

from __future__ import annotations

from collections.abc import Mapping

from couchapp.tree import Document

# CouchDB runs the validator of every design document with any id, so a disabled one has another member name.
VALIDATOR = "validate_doc_update"
DISABLED_VALIDATOR = "kept_validate_doc_update"
STAGED = "staged-"
PREVIOUS = "previous-"
# In a previous design document: the digest of the tree that replaced it.
REPLACED_BY = "replaced_by"
# In a staged design document: true if a rollback staged it.
ROLLING_BACK = "rolling_back"
OWN_MEMBERS = frozenset({"_id", "_rev", "autoupdate", REPLACED_BY, ROLLING_BACK})


def content(document: Mapping[str, object]) -> Document:
    """Return the functions and options of a design document, which are equal under each of its ids."""
    members = {name: value for name, value in document.items() if name not in OWN_MEMBERS}
    if DISABLED_VALIDATOR in members:
        members[VALIDATOR] = members.pop(DISABLED_VALIDATOR)
    return members


def deployed(name: str, document: Mapping[str, object]) -> Document:
    """Return ``document`` under its own id, with its validator enabled."""
    return {"_id": f"_design/{name}", **content(document)}


def staged(name: str, document: Mapping[str, object], *, rolling_back: bool = False) -> Document:
    """Return ``document`` as staged: CouchDB builds its index and does not run its validator."""
    mark = {ROLLING_BACK: True} if rolling_back else {}
    return {"_id": f"_design/{STAGED}{name}", **_disabled(document), **mark}


def previous(name: str, document: Mapping[str, object], replaced_by: str) -> Document:
    """Return ``document`` as previous: its index stays, and only a rollback brings it up to date."""
    own = {"autoupdate": False, REPLACED_BY: replaced_by}
    return {"_id": f"_design/{PREVIOUS}{name}", **_disabled(document), **own}


def is_disabled(name: str) -> bool:
    """Return whether ``name`` belongs to a staged or a previous design document."""
    return name.startswith((STAGED, PREVIOUS))


def _disabled(document: Mapping[str, object]) -> Document:
    members = content(document)
    return {DISABLED_VALIDATOR if name == VALIDATOR else name: value for name, value in members.items()}
