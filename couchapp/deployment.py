"""The verbs of a deployment: stage, warm, promote, clean, and rollback; each can be repeated, and cut off anywhere.

Where it stands is read from the design documents themselves, every time, so there is no record that could be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from couchapp import slots
from couchapp.connection import Connection, Interrupted
from couchapp.databases import Databases, Disturbed
from couchapp.diff import Difference, differences
from couchapp.slots import PREVIOUS, STAGED, content
from couchapp.tree import Document, Tree, digest
from couchapp.trial import remove_leftovers, trial
from couchapp.warming import warm

Report = Callable[[str], None]
Found = Mapping[str, Mapping[str, Document] | None]

# How often a deployment starts over because another one goes on at the same time.
TRIES = 10
# An index over millions of documents takes its time; in seconds.
LIMIT = 24 * 3600.0


class NotStagedError(Exception):
    """What should be promoted was not staged, or not as the tree has it now."""


class NothingKeptError(Exception):
    """There is no previous version to go back to."""


class Deployment:
    """Brings the databases ``<prefix>-<name>`` to what ``tree`` says; tells ``report`` of each thing it does.

    Every verb raises couchapp.connection.DatabaseError, and Disturbed if someone else deploys at the same time.
    """

    def __init__(
        self, connection: Connection, prefix: str, tree: Tree, report: Report = print, limit: float = LIMIT
    ) -> None:
        self.databases, self.tree = Databases(connection, prefix), tree
        self._report, self._limit = report, limit

    def found(self) -> dict[str, dict[str, Document] | None]:
        """Return the design documents that are there by name by database; None is a missing database."""
        return self.databases.read_all(self.tree)

    def differences(self) -> list[Difference]:
        """Return what a deployment would change."""
        return differences(self.tree, self.found())

    def prepare(self) -> None:
        """Create and secure the databases that need it."""
        for database in self.tree:
            if self.databases.create(database):
                self._report(f"{database}: created or secured")

    def stage(self) -> None:
        """Try what differs, then store it beside what is deployed. Raises TrialError before anything is stored."""
        self.prepare()
        found = self.found()
        waiting = [change for change in differences(self.tree, found) if not _is_staged(change, found)]
        if not waiting:
            return
        with trial(self.databases) as court:
            for change in waiting:
                court.check(change.database, change.after)
        for change in waiting:
            document = slots.staged(change.name, change.after)
            self._put(change.database, document, _at(found, change.database, STAGED + change.name))
            self._report(f"{change.database}/_design/{change.name}: staged ({', '.join(change.costs)})")

    def warm(self) -> None:
        """Have the indexes of all that is staged built. Raises WarmingError."""
        for database, name, document in _slot(self.found(), STAGED):
            warm(self.databases, database, STAGED + name, document, self._limit)
            if document.get("views"):
                self._report(f"{database}/_design/{name}: index built")

    def promote(self) -> None:
        """Deploy what is staged and warm, and keep what it replaces. Raises NotStagedError, WarmingError."""
        found = self.found()
        changes = differences(self.tree, found)
        missing = [str(change) for change in changes if not _is_staged(change, found)]
        if missing:
            raise NotStagedError(f"not staged: {'; '.join(missing)}")
        for change in changes:
            # Nothing is built here after warm; promote alone must not let readers wait either.
            warm(self.databases, change.database, STAGED + change.name, change.after, self._limit)
        if changes:
            self._forget_others(found, digest(self.tree))
        for change in changes:
            self._promote(change, found)

    def _promote(self, change: Difference, found: Found) -> None:
        database, name = change.database, change.name
        if change.before is not None:
            kept = slots.previous(name, change.before, digest(self.tree))
            self._put(database, kept, _at(found, database, PREVIOUS + name))
        self.databases.put(database, slots.deployed(name, change.after), change.before)
        # The first reader's query is made here, so that the server finds the index under its own name, too.
        warm(self.databases, database, name, change.after, self._limit)
        self._report(f"{database}/_design/{name}: deployed ({', '.join(change.costs)})")

    def _forget_others(self, found: Found, replaced_by: str) -> None:
        """Remove what earlier deployments kept, so that a rollback undoes one deployment and no more."""
        for database, _, document in _slot(found, PREVIOUS):
            if document.get(slots.REPLACED_BY) != replaced_by:
                self.databases.remove(database, document)

    def rollback(self) -> None:
        """Exchange what is deployed with what was kept; a second time exchanges it back.

        Raises NothingKeptError and WarmingError.
        """
        found = self.found()
        kept = list(_slot(found, PREVIOUS))
        if not kept:
            raise NothingKeptError("no previous version is kept")
        for database, name, document in kept:
            warm(self.databases, database, PREVIOUS + name, document, self._limit)
        for database, name, document in kept:
            self._exchange(database, name, document, _at(found, database, name))

    def _exchange(self, database: str, name: str, kept: Document, present: Document | None) -> None:
        """Put ``kept`` in the place of ``present`` and the reverse, in one request: half of it would lose one."""
        back = {**slots.deployed(name, kept), **_revision(present)}
        if present is None:
            away: Document = {**_revision(kept), "_id": kept["_id"], "_deleted": True}
        else:
            away = {**slots.previous(name, present, kept[slots.REPLACED_BY]), **_revision(kept)}
        self.databases.put_both(database, back, away)
        warm(self.databases, database, name, back, self._limit)
        self._report(f"{database}/_design/{name}: rolled back")

    def clean(self) -> None:
        """Remove what is staged, and the files of indexes that nothing needs any more."""
        remove_leftovers(self.databases)
        staged = list(_slot(self.found(), STAGED))
        for database, _, document in staged:
            self.databases.remove(database, document)
        for database in dict.fromkeys(database for database, _, _ in staged):
            self.databases.clean_indexes(database)
            self._report(f"{database}: removed what was staged")

    def deploy(self) -> None:
        """Take every step, and start over when another deployment gets in between. What is there is not touched."""
        for left in reversed(range(TRIES)):
            try:
                for step in (self.stage, self.warm, self.promote, self.clean):
                    step()
            except (Disturbed, Interrupted, NotStagedError):
                if not left:
                    raise
            else:
                return

    def _put(self, database: str, document: Document, replacing: Document | None) -> None:
        if replacing is None or document != {name: value for name, value in replacing.items() if name != "_rev"}:
            self.databases.put(database, document, replacing)


def deploy(connection: Connection, prefix: str, tree: Tree, *, report: Report = print) -> None:
    """Bring the databases of ``prefix`` to what ``tree`` says, without a reader ever waiting for an index.

    A deployment of nothing new writes nothing. Raises couchapp.connection.DatabaseError, TrialError, WarmingError.
    """
    Deployment(connection, prefix, tree, report).deploy()


def _is_staged(change: Difference, found: Found) -> bool:
    there = _at(found, change.database, STAGED + change.name)
    return there is not None and content(there) == content(change.after)


def _slot(found: Found, slot: str) -> Iterator[tuple[str, str, Document]]:
    """Yield database, name and document of every design document in ``slot``."""
    for database, documents in found.items():
        for name, document in (documents or {}).items():
            if name.startswith(slot):
                yield database, name.removeprefix(slot), document


def _at(found: Found, database: str, name: str) -> Document | None:
    return (found[database] or {}).get(name)


def _revision(document: Document | None) -> dict[str, str]:
    return {"_rev": document["_rev"]} if document else {}
