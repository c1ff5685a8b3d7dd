"""What an operator is told of the present state: databases, design documents, what is beside them and being built."""

from __future__ import annotations

from collections.abc import Iterator

from couchapp.ddoc_ids import PREVIOUS, STAGED
from couchapp.deployment import Deployment
from couchapp.diff import strangers
from couchapp.warming import building


def lacking(deployment: Deployment) -> Iterator[str]:
    """Yield a line for each database that is missing or not secured."""
    databases = deployment.databases
    for name, documents in deployment.found().items():
        if documents is None:
            yield f"{databases.full_name(name)} is missing"
        elif databases.security(name) is not None:
            yield f"{databases.full_name(name)} is not secured: its _security lacks a role"


def lines(deployment: Deployment) -> Iterator[str]:
    """Yield a line for each design document, and for each that someone else has put there."""
    found, databases = deployment.found(), deployment.databases
    different = {(change.database, change.name) for change in deployment.differences()}
    yield from lacking(deployment)
    for database, documents in deployment.tree.items():
        there = found[database] or {}
        for name in documents:
            state = ["different" if (database, name) in different else "deployed"] if name in there else ["absent"]
            state += [slot.strip("-") for slot in (STAGED, PREVIOUS) if slot + name in there]
            for design in (name, STAGED + name, PREVIOUS + name):
                tasks = building(databases, databases.full_name(database), design)
                if tasks:
                    done = sum(task["changes_done"] for task in tasks)
                    state.append(f"building {design}: {done} of {sum(task['total_changes'] for task in tasks)}")
            yield f"{database}/_design/{name}: {', '.join(state)}"
    yield from (f"{stranger}: not ours, left alone" for stranger in strangers(deployment.tree, found))
