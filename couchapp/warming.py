"""Lets CouchDB build the indexes of a design document, and shows the progress."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from app.couch.connection import AnswerLost, DatabaseError, Refused
from couchapp.databases import ConcurrentChange, Databases
from couchapp.tree import DeployError, Document

# A query waits this long for its index before the progress is shown and the query repeated.
POLL_SECONDS = 2.0
# A view that fails this often, other than by being slow, does not fail by chance.
MAX_FAILURES = 5
RETRY_SECONDS = 0.05


class WarmingError(DeployError):
    """An index could not be built, or not in time; nothing was deployed."""


class Progress:
    """A progress bar for one design document, from CouchDB's `_active_tasks`; PouchDB Server has none."""

    def __init__(self, databases: Databases, database: str, design: str, bar: tqdm[Any]) -> None:
        self._databases, self._bar = databases, bar
        self._database, self._design = databases.full_name(database), design
        self._totals: dict[str, int] = {}

    def update(self) -> None:
        """Update the bar; a shard without a task any more is finished."""
        completed = dict(self._totals)
        for task in indexing_tasks(self._databases, self._database, self._design):
            self._totals[task["database"]] = task["total_changes"]
            completed[task["database"]] = task["changes_done"]
        self._bar.total = sum(self._totals.values()) or None
        self._bar.n = sum(completed.values())
        self._bar.refresh()


def indexing_tasks(databases: Databases, full_name: str, design: str) -> list[dict[str, Any]]:
    """Return the running tasks that build the index of a design document, one for each shard.

    There are none on a server that does not report tasks.
    """
    try:
        tasks = databases.connection.get("_active_tasks").body
    except DatabaseError:
        return []
    return [
        task
        for task in tasks
        if task.get("type") == "indexer"
        and task.get("design_document") == f"_design/{design}"
        and full_name in (task["database"], task["database"].rpartition("/")[2].partition(".")[0])
    ]


def warm(databases: Databases, database: str, design: str, document: Document, limit: float) -> None:
    """Query every view of ``document``, stored as ``design``, until its index is built.

    Raises WarmingError, also after ``limit`` seconds, and ConcurrentChange if the design document is gone.
    """
    deadline = time.monotonic() + limit
    with _progress(databases, database, design) as progress:
        for view in document.get("views", {}):
            _build(databases, (database, "_design", design, "_view", view), progress, deadline)


@contextmanager
def _progress(databases: Databases, database: str, design: str) -> Iterator[Progress]:
    """Show a bar on a terminal if it takes long, and nothing elsewhere."""
    title = f"{database}/_design/{design}"
    with tqdm(desc=title, unit=" documents", disable=None, leave=False, delay=POLL_SECONDS) as bar:
        yield Progress(databases, database, design, bar)


def _build(databases: Databases, path: tuple[str, ...], progress: Progress, deadline: float) -> None:
    failures = 0
    while time.monotonic() < deadline:
        try:
            databases.request("GET", *path, params={"limit": 1, "reduce": False}, timeout=POLL_SECONDS)
        except AnswerLost:
            progress.update()
        except Refused as refusal:
            failures += 1
            if failures == MAX_FAILURES:
                raise _permanent("/".join(path), refusal) from refusal
            time.sleep(RETRY_SECONDS)
        else:
            return
    raise WarmingError(f"{'/'.join(path)} was not built in time; repeat the command to continue")


def _permanent(path: str, refusal: Refused) -> Exception:
    """Return the error for a repeated refusal; a few are normal just after a design document has changed."""
    if refusal.status == 404:
        return ConcurrentChange(f"another deployment removed {path}")
    return WarmingError(f"{path} cannot be built: {refusal}")
