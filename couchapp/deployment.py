"""The verbs of a deployment: stage, warm, promote, rollback and clean; each can be repeated, and cut off anywhere.

Where it stands is read from the design documents themselves, every time, so there is no record that could be wrong.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from app.couch.connection import AnswerLost, Connection
from couchapp import ddoc_ids
from couchapp.databases import Databases, Disturbed
from couchapp.ddoc_ids import PREVIOUS, STAGED
from couchapp.diff import Difference, differences
from couchapp.inventory import Found, at, in_slot, is_rolling_back, is_staged, kept_for, ways_back
from couchapp.smoke_test import remove_leftovers, trial
from couchapp.tree import Document, Tree, digest
from couchapp.warming import warm

Report = Callable[[str], None]

# How often a deployment starts over because another one goes on at the same time.
TRIES = 20
PAUSE = 0.5  # At most so many seconds pass between them.
# An index over millions of documents takes its time; in seconds.
LIMIT = 24 * 3600.0
# Within this time CouchDB tells its indexes of a changed design document, in seconds; with it no read failed.
GRACE = 0.5


class NotStagedError(Exception):
    """What should be promoted was not staged, or not as the tree has it now."""


class NothingKeptError(Exception):
    """There is no previous version to go back to."""


class Deployment:
    """Brings the databases ``<prefix>-<name>`` to what ``tree`` says; tells ``report`` of each thing it does.

    Every verb raises app.couch.connection.DatabaseError, and Disturbed if someone else deploys at the same time.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        tree: Tree,
        report: Report = print,
        limit: float = LIMIT,
        grace: float = GRACE,
    ) -> None:
        self.databases, self.tree = Databases(connection, prefix), tree
        self._report, self._limit, self._grace = report, limit, grace

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
        waiting = [change for change in differences(self.tree, found) if not is_staged(change, found)]
        if not waiting:
            return
        with trial(self.databases) as court:
            for change in waiting:
                court.check(change.database, change.after)
        for change in waiting:
            document = ddoc_ids.staged(change.name, change.after)
            self._put(change.database, document, at(found, change.database, STAGED + change.name))
            self._report(f"{change.database}/_design/{change.name}: staged ({', '.join(change.costs)})")

    def warm(self) -> None:
        """Have the indexes of all that is staged built. Raises WarmingError."""
        for database, name, document in in_slot(self.found(), STAGED):
            warm(self.databases, database, STAGED + name, document, self._limit)
            if document.get("views"):
                self._report(f"{database}/_design/{name}: index built")

    def promote(self) -> None:
        """Deploy what is staged and warm, and keep what it replaces. Raises NotStagedError, WarmingError."""
        found = self.found()
        changes = differences(self.tree, found)
        missing = [str(change) for change in changes if not is_staged(change, found)]
        if missing:
            raise NotStagedError(f"not staged: {'; '.join(missing)}")
        self._switch(changes, found, digest(self.tree))

    def rollback(self) -> None:
        """Exchange what is deployed with what was kept; a second time exchanges it back.

        Raises NothingKeptError and WarmingError.
        """
        found = self.found()
        changes = ways_back(found)
        if not changes and not is_rolling_back(found):
            raise NothingKeptError("no previous version is kept")
        for change in changes:
            document = ddoc_ids.staged(change.name, change.after, rolling_back=True)
            self._put(change.database, document, at(found, change.database, STAGED + change.name))
        self._switch(changes, found, kept_for(found))
        self._unstage()

    def _switch(self, changes: list[Difference], found: Found, replaced_by: str) -> None:
        """Deploy each change, which is staged, and keep what it replaces.

        When a design document changes, CouchDB ends the queries that wait for its former index, with 404, unless
        it has seen a query of that index under another name. So each index is queried under two names before and
        after the switch: the former as deployed and as previous, the new one as staged and as deployed.
        """
        former = [change for change in changes if change.before is not None]
        if changes:
            self._forget_others(found, replaced_by, [(change.database, change.name) for change in former])
        self._query([(change.database, STAGED + change.name, change.after) for change in changes])
        for change in former:
            kept = ddoc_ids.previous(change.name, change.before or {}, replaced_by)
            self._put(change.database, kept, at(found, change.database, PREVIOUS + change.name))
        self._query([(change.database, PREVIOUS + change.name, change.before or {}) for change in former], self._grace)
        for change in changes:
            self.databases.put(change.database, ddoc_ids.deployed(change.name, change.after), change.before)
            self._report(f"{change.database}/_design/{change.name}: deployed ({', '.join(change.costs)})")
        deployed = [(change.database, change.name, change.after) for change in changes]
        self._query(deployed, self._grace if former else 0)

    def _query(self, targets: Sequence[tuple[str, str, Document]], grace: float = 0) -> None:
        """Query the views of design documents until they are built, and go on for ``grace`` seconds.

        CouchDB tells its indexes of a changed design document a moment later, and forgets who queried them by then.
        """
        ends = time.monotonic() + grace
        with_views = [target for target in targets if target[2].get("views")]
        while with_views:
            for database, name, document in with_views:
                warm(self.databases, database, name, document, self._limit)
            if time.monotonic() >= ends:
                return
            time.sleep(grace / 10)

    def _forget_others(self, found: Found, replaced_by: str, overwritten: list[tuple[str, str]]) -> None:
        """Remove what earlier deployments kept, so that a rollback undoes one deployment and no more.

        What is ``overwritten`` in a moment, named by database and name, stays as something to go back to until then.
        """
        for database, name, document in in_slot(found, PREVIOUS):
            if document.get(ddoc_ids.REPLACED_BY) != replaced_by and (database, name) not in overwritten:
                self.databases.remove(database, document)

    def clean(self) -> None:
        """Remove what is staged, and the files of indexes that nothing needs any more.

        CouchDB removes such files by itself. PouchDB Server does not, and must not be asked to while another
        deployment builds an index: it would then never answer for that index again, until it is started anew.
        """
        self._unstage()
        for database, documents in self.found().items():
            if documents is not None:
                self.databases.clean_indexes(database)

    def _unstage(self) -> None:
        remove_leftovers(self.databases)
        staged = list(in_slot(self.found(), STAGED))
        for database, _, document in staged:
            self.databases.remove(database, document)
        for database in dict.fromkeys(database for database, _, _ in staged):
            self._report(f"{database}: removed what was staged")

    def deploy(self) -> None:
        """Take every step, and start over when another deployment gets in between. What is there is not touched."""
        for left in reversed(range(TRIES)):
            try:
                for step in (self.stage, self.warm, self.promote, self._unstage):
                    step()
            except (Disturbed, AnswerLost, NotStagedError):
                if not left:
                    raise
                # Two that start over at the same moment would meet again.
                time.sleep(random.uniform(0, PAUSE))  # noqa: S311
            else:
                return

    def _put(self, database: str, document: Document, replacing: Document | None) -> None:
        if replacing is None or document != {name: value for name, value in replacing.items() if name != "_rev"}:
            self.databases.put(database, document, replacing)


def deploy(connection: Connection, prefix: str, tree: Tree, *, report: Report = print) -> None:
    """Bring the databases of ``prefix`` to what ``tree`` says, without a reader ever waiting for an index.

    A deployment of nothing new writes nothing. Raises app.couch.connection.DatabaseError, TrialError, WarmingError.
    """
    Deployment(connection, prefix, tree, report).deploy()
