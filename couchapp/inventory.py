"""Finds the staged and the previous design documents among all that are in the databases; pure."""

from __future__ import annotations

from couchapp import ddoc_ids
from couchapp.ddoc_ids import PREVIOUS, ROLLING_BACK, STAGED, content
from couchapp.diff import Difference, Inventory
from couchapp.tree import Document


def find(inventory: Inventory, database: str, name: str) -> Document | None:
    """Return the design document ``name``, or None if it is absent."""
    return (inventory[database] or {}).get(name)


def with_prefix(inventory: Inventory, prefix: str) -> dict[tuple[str, str], Document]:
    """Return the design documents whose name has ``prefix``, by database and name without the prefix."""
    return {
        (database, name.removeprefix(prefix)): document
        for database, documents in inventory.items()
        for name, document in (documents or {}).items()
        if name.startswith(prefix)
    }


def is_staged(change: Difference, inventory: Inventory) -> bool:
    """Return whether exactly the result of ``change`` is staged."""
    document = find(inventory, change.database, STAGED + change.name)
    return document is not None and content(document) == content(change.after)


def rollback_targets(inventory: Inventory) -> dict[tuple[str, str], Document]:
    """Return the design documents that a rollback has staged; none unless one was interrupted."""
    return {key: document for key, document in with_prefix(inventory, STAGED).items() if document.get(ROLLING_BACK)}


def rollback_changes(inventory: Inventory) -> list[Difference]:
    """Return the changes of a rollback, or the remaining ones if a rollback was interrupted.

    A rollback stages all its targets before it deploys the first, and removes them after the last.
    """
    started = rollback_targets(inventory)
    changes = []
    for (database, name), target in {**with_prefix(inventory, PREVIOUS), **started}.items():
        current = find(inventory, database, name)
        if current is None or content(current) != content(target):
            changes.append(Difference(database, name, current, ddoc_ids.deployed(name, target)))
    is_done = started and not any((change.database, change.name) in started for change in changes)
    return [] if is_done else changes


def replacing_digest(inventory: Inventory) -> str:
    """Return the digest of the tree that replaced the previous design documents, empty if there are none."""
    return next((str(document[ddoc_ids.REPLACED_BY]) for document in with_prefix(inventory, PREVIOUS).values()), "")
