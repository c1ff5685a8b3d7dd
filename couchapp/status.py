"""Describes the current state to an operator: databases, design documents, and indexes that are being built."""

from __future__ import annotations

from collections.abc import Iterator

from couchapp import feed_identity
from couchapp.ddoc_ids import PREVIOUS, STAGED
from couchapp.deployment import Deployment
from couchapp.diff import unmanaged
from couchapp.warming import indexing_tasks


def database_problems(deployment: Deployment) -> Iterator[str]:
    """Yield a line for each database that is missing, not secured or without a feed identity."""
    databases = deployment.databases
    for name, documents in deployment.inventory().items():
        if documents is None:
            yield f"{databases.full_name(name)} is missing"
        elif databases.missing_security(name) is not None:
            yield f"{databases.full_name(name)} is not secured: its _security lacks a role"
        elif feed_identity.find(databases, name) is None:
            yield f"{databases.full_name(name)} has no feed identity"


def describe(deployment: Deployment) -> Iterator[str]:
    """Yield a line for each problem, each design document of the tree, and each unmanaged one."""
    inventory = deployment.inventory()
    different = {(change.database, change.name) for change in deployment.differences()}
    yield from database_problems(deployment)
    for database, documents in deployment.tree.items():
        present = inventory[database] or {}
        for name in documents:
            state = ["different" if (database, name) in different else "deployed"] if name in present else ["absent"]
            state += [prefix.strip("-") for prefix in (STAGED, PREVIOUS) if prefix + name in present]
            for prefix in ("", STAGED, PREVIOUS):
                state += _progress(deployment, database, prefix + name)
            yield f"{database}/_design/{name}: {', '.join(state)}"
    yield from (f"{name}: unmanaged, left alone" for name in unmanaged(deployment.tree, inventory))


def _progress(deployment: Deployment, database: str, name: str) -> Iterator[str]:
    databases = deployment.databases
    if tasks := indexing_tasks(databases, databases.full_name(database), name):
        changes_done, total = (sum(task[member] for task in tasks) for member in ("changes_done", "total_changes"))
        yield f"building {name}: {changes_done} of {total}"
