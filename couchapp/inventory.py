"""Answers questions about the design documents that were found: what is staged, what is kept, what leads back; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from couchapp import ddoc_ids
from couchapp.ddoc_ids import PREVIOUS, ROLLING_BACK, STAGED, content
from couchapp.diff import Difference
from couchapp.tree import Document

# Design documents by name by database; None is a missing database.
Found = Mapping[str, Mapping[str, Document] | None]


def at(found: Found, database: str, name: str) -> Document | None:
    """Return the design document ``name``, if it is there."""
    return (found[database] or {}).get(name)


def in_slot(found: Found, slot: str) -> Iterator[tuple[str, str, Document]]:
    """Yield database, name and document of every design document in ``slot``."""
    for database, documents in found.items():
        for name, document in (documents or {}).items():
            if name.startswith(slot):
                yield database, name.removeprefix(slot), document


def is_staged(change: Difference, found: Found) -> bool:
    """Tell whether exactly what ``change`` leads to is staged."""
    there = at(found, change.database, STAGED + change.name)
    return there is not None and content(there) == content(change.after)


def is_rolling_back(found: Found) -> bool:
    """Tell whether a rollback was begun and not ended."""
    return any(document.get(ROLLING_BACK) for _, _, document in in_slot(found, STAGED))


def ways_back(found: Found) -> list[Difference]:
    """Return the changes that a rollback makes, or has still to make if one was cut off.

    A rollback stages all that it goes back to before it switches the first, and removes that after the last.
    """
    begun = {(database, name): document for database, name, document in in_slot(found, STAGED)}
    begun = {key: document for key, document in begun.items() if document.get(ROLLING_BACK)}
    kept = {(database, name): document for database, name, document in in_slot(found, PREVIOUS)}
    changes = []
    for (database, name), target in {**kept, **begun}.items():
        present = at(found, database, name)
        if present is None or content(present) != content(target):
            changes.append(Difference(database, name, present, ddoc_ids.deployed(name, target)))
    is_done = begun and not any((change.database, change.name) in begun for change in changes)
    return [] if is_done else changes


def kept_for(found: Found) -> str:
    """Return the digest of the tree that replaced what is kept; an empty text where nothing is."""
    return next((str(document[ddoc_ids.REPLACED_BY]) for _, _, document in in_slot(found, PREVIOUS)), "")
