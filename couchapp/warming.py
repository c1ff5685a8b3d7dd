"""Has CouchDB build the indexes of a design document, and shows how far it has come."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from app.couch.connection import AnswerLost, DatabaseError, Refused
from couchapp.databases import Databases, Disturbed
from couchapp.tree import Document

# A query waits this long for its index, in seconds, before the progress is looked at again.
PATIENCE = 2.0
# So many failures of one view, other than being slow, are not by chance.
MAX_FAILURES = 5
PAUSE = 0.05  # Seconds between them.


class WarmingError(Exception):
    """An index could not be built, or not in time; what is deployed still is as it was."""


class Progress:
    """What CouchDB's `_active_tasks` tell of one design document; PouchDB has none and tells nothing."""

    def __init__(self, databases: Databases, database: str, design: str, bar: tqdm[Any]) -> None:
        self._databases, self._bar = databases, bar
        self._database, self._design = databases.full_name(database), design
        self._totals: dict[str, int] = {}

    def show(self) -> None:
        """Bring the bar up to date; a shard that is not told of any more is done."""
        done = dict(self._totals)
        for task in building(self._databases, self._database, self._design):
            self._totals[task["database"]] = task["total_changes"]
            done[task["database"]] = task["changes_done"]
        self._bar.total = sum(self._totals.values()) or None
        self._bar.n = sum(done.values())
        self._bar.refresh()


def building(databases: Databases, full_name: str, design: str) -> list[dict[str, Any]]:
    """Return the tasks that build the index of a design document now, one for each shard, where that is told."""
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
    """Query every view of ``document``, stored as ``design``, until its index is built; quiet if nobody looks on.

    Raises WarmingError, also after ``limit`` seconds, and Disturbed if the design document is gone.
    """
    ends = time.monotonic() + limit
    with _progress(databases, database, design) as progress:
        for view in document.get("views", {}):
            _build(databases, (database, "_design", design, "_view", view), progress, ends)


@contextmanager
def _progress(databases: Databases, database: str, design: str) -> Iterator[Progress]:
    """Show a bar on a terminal, and nothing elsewhere."""
    with tqdm(desc=f"{database}/_design/{design}", unit=" documents", disable=None, leave=False) as bar:
        yield Progress(databases, database, design, bar)


def _build(databases: Databases, path: tuple[str, ...], progress: Progress, ends: float) -> None:
    failures = 0
    while time.monotonic() < ends:
        try:
            databases.request("GET", *path, params={"limit": 1, "reduce": False}, timeout=PATIENCE)
        except AnswerLost:
            progress.show()
        except Refused as refusal:
            failures += 1
            if failures == MAX_FAILURES:
                raise _verdict("/".join(path), refusal) from refusal
            time.sleep(PAUSE)
        else:
            return
    raise WarmingError(f"{'/'.join(path)} was not built in time; repeat the command to go on")


def _verdict(path: str, refusal: Refused) -> Exception:
    """Return what a refusal means that does not go away; some do, when a design document has just changed."""
    if refusal.status == 404:
        return Disturbed(f"{path} was taken away by someone else")
    return WarmingError(f"{path} cannot be built: {refusal}")
