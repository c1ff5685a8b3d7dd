"""The steps of a deployment: stage, warm, promote, rollback and clean; each can be repeated or interrupted.

The state is read from the design documents every time, so there is no separate record that could be wrong.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from app.couch.connection import AnswerLost, Connection
from couchapp import ddoc_ids, feed_identity
from couchapp.databases import ConcurrentChange, Databases
from couchapp.ddoc_ids import PREVIOUS, STAGED
from couchapp.diff import Difference, Inventory, differences
from couchapp.inventory import find, is_staged, replacing_digest, rollback_changes, rollback_targets, with_prefix
from couchapp.smoke_test import remove_leftovers, smoke_test
from couchapp.tree import DeployError, Document, Tree, digest
from couchapp.warming import warm

Report = Callable[[str], None]

# A deployment starts again this often if another one runs at the same time.
MAX_TRIES = 20
MAX_PAUSE_SECONDS = 0.5
# An index over millions of documents takes hours.
LIMIT_SECONDS = 24 * 3600.0
# CouchDB notifies its indexes of a changed design document within this time; with it no read failed.
GRACE_SECONDS = 0.5


class NotStagedError(DeployError):
    """The current tree is not staged completely, so it cannot be promoted."""


class NoPreviousError(DeployError):
    """There is no previous version for a rollback."""


class Deployment:
    """Brings the databases ``<prefix>-<name>`` to the state of ``tree``, and passes a line for each step to ``report``.

    Every step raises app.couch.connection.DatabaseError, and ConcurrentChange if another deployment interferes.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        tree: Tree,
        report: Report = print,
        limit: float = LIMIT_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.databases, self.tree = Databases(connection, prefix), tree
        self._show, self._limit, self._grace = report, limit, grace
        self.has_reported = False

    def _report(self, line: str) -> None:
        self.has_reported = True
        self._show(line)

    def inventory(self) -> dict[str, dict[str, Document] | None]:
        """Return the design documents of the databases, by name, by database; None for a missing database."""
        return {name: self.databases.design_documents(name) for name in self.tree}

    def differences(self) -> list[Difference]:
        """Return the changes that a deployment would make."""
        return differences(self.tree, self.inventory())

    def prepare(self) -> None:
        """Create and secure the databases that need it, and give each a feed identity."""
        for database in self.tree:
            if self.databases.create(database):
                self._report(f"{database}: created or secured")
            if feed_identity.create(self.databases, database):
                self._report(f"{database}: feed identity created")

    def stage(self) -> None:
        """Smoke-test the changes, then store them as staged. Raises SmokeTestError before anything is stored."""
        self.prepare()
        inventory = self.inventory()
        changes = [change for change in differences(self.tree, inventory) if not is_staged(change, inventory)]
        if not changes:
            return
        with smoke_test(self.databases) as test:
            for change in changes:
                test.check(change.database, change.after)
        for change in changes:
            self._put(change, STAGED, ddoc_ids.staged(change.name, change.after), inventory)
            self._report(f"{change.database}/_design/{change.name}: staged ({', '.join(change.costs)})")

    def warm(self) -> None:
        """Wait until the indexes of everything staged are built. Raises WarmingError."""
        for (database, name), document in with_prefix(self.inventory(), STAGED).items():
            warm(self.databases, database, STAGED + name, document, self._limit)
            if document.get("views"):
                self._report(f"{database}/_design/{name}: index built")

    def promote(self) -> None:
        """Deploy the staged changes, and store the replaced versions. Raises NotStagedError and WarmingError."""
        inventory = self.inventory()
        changes = differences(self.tree, inventory)
        missing = [str(change) for change in changes if not is_staged(change, inventory)]
        if missing:
            raise NotStagedError(f"not staged: {'; '.join(missing)}")
        self._switch(changes, inventory, digest(self.tree))

    def rollback(self) -> None:
        """Exchange the deployed and the previous versions; a second rollback exchanges them back.

        Raises NoPreviousError and WarmingError.
        """
        inventory = self.inventory()
        changes = rollback_changes(inventory)
        if not changes and not rollback_targets(inventory):
            raise NoPreviousError("there is no previous version")
        for change in changes:
            self._put(change, STAGED, ddoc_ids.staged(change.name, change.after, rolling_back=True), inventory)
        self._switch(changes, inventory, replacing_digest(inventory))
        self._unstage()

    def _switch(self, changes: list[Difference], inventory: Inventory, replaced_by: str) -> None:
        """Deploy each staged change, and store the replaced version as previous.

        When a design document changes, CouchDB ends the queries that wait for its old index, with 404, unless that
        index was queried under another name too. So each index is queried under two names before and after the switch:
        the old one as deployed and as previous, the new one as staged and as deployed.
        """
        replacing = [change for change in changes if change.before is not None]
        if changes:
            self._remove_older(inventory, replaced_by, [(change.database, change.name) for change in replacing])
        self._query([(change.database, STAGED + change.name, change.after) for change in changes])
        for change in replacing:
            self._put(change, PREVIOUS, ddoc_ids.previous(change.name, change.before or {}, replaced_by), inventory)
        previous = [(change.database, PREVIOUS + change.name, change.before or {}) for change in replacing]
        self._query(previous, self._grace)
        for change in changes:
            self.databases.put(change.database, ddoc_ids.deployed(change.name, change.after), change.before)
            self._report(f"{change.database}/_design/{change.name}: deployed ({', '.join(change.costs)})")
        deployed = [(change.database, change.name, change.after) for change in changes]
        self._query(deployed, self._grace if replacing else 0)

    def _query(self, targets: Sequence[tuple[str, str, Document]], grace: float = 0) -> None:
        """Query the views of design documents until they are built, and repeat it for ``grace`` seconds.

        CouchDB notifies its indexes of a changed design document with a delay, and forgets earlier queries then.
        """
        deadline = time.monotonic() + grace
        with_views = [target for target in targets if target[2].get("views")]
        while with_views:
            for database, name, document in with_views:
                warm(self.databases, database, name, document, self._limit)
            if time.monotonic() >= deadline:
                return
            time.sleep(grace / 10)

    def _remove_older(self, inventory: Inventory, replaced_by: str, overwritten: list[tuple[str, str]]) -> None:
        """Remove the previous versions of earlier deployments, so that a rollback undoes one deployment only.

        Those ``overwritten`` in the next step, named by database and name, stay available for a rollback until then.
        """
        for key, document in with_prefix(inventory, PREVIOUS).items():
            if document.get(ddoc_ids.REPLACED_BY) != replaced_by and key not in overwritten:
                self.databases.remove(key[0], document)

    def clean(self) -> None:
        """Remove everything staged, and the files of unused indexes.

        CouchDB removes such files by itself. PouchDB Server does not, and must not be asked to while another
        deployment builds an index: it would not answer for that index again until it is restarted.
        """
        self._unstage()
        for database, documents in self.inventory().items():
            if documents is not None:
                self.databases.request("POST", database, "_view_cleanup", body={})

    def _unstage(self) -> None:
        remove_leftovers(self.databases)
        staged = with_prefix(self.inventory(), STAGED)
        for (database, _), document in staged.items():
            self.databases.remove(database, document)
        for database in dict.fromkeys(database for database, _ in staged):
            self._report(f"{database}: removed the staged design documents")

    def deploy(self) -> None:
        """Take every step, and start again if another deployment interferes. Without changes, nothing is written."""
        for tries_left in reversed(range(MAX_TRIES)):
            try:
                for step in (self.stage, self.warm, self.promote, self._unstage):
                    step()
            except (ConcurrentChange, AnswerLost, NotStagedError):
                if not tries_left:
                    raise
                # Two deployments that start again at the same moment would interfere again.
                time.sleep(random.uniform(0, MAX_PAUSE_SECONDS))  # noqa: S311
            else:
                return

    def _put(self, change: Difference, prefix: str, document: Document, inventory: Inventory) -> None:
        """Store the staged or previous version of a change, unless it is stored already."""
        current = find(inventory, change.database, prefix + change.name)
        if current is None or document != {name: value for name, value in current.items() if name != "_rev"}:
            self.databases.put(change.database, document, current)


def deploy(connection: Connection, prefix: str, tree: Tree, *, report: Report = print) -> None:
    """Bring the databases of ``prefix`` to the state of ``tree``, without a reader ever waiting for an index.

    Without changes, nothing is written. Raises app.couch.connection.DatabaseError, SmokeTestError and WarmingError.
    """
    Deployment(connection, prefix, tree, report).deploy()
