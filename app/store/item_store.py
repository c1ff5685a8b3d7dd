"""Reads items, and writes each once: a write that an earlier run has done is found instead of repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain

from app.errors import Conflict, OutcomeUnknown, ServiceError, Unavailable
from app.store.confirmed_writes import ConfirmedWrites, pauses
from app.store.database import Database
from app.store.items import Change, ItemWrite, StoredItem, Update, WriteId
from app.store.revision_history import History, Undone, find_change, find_creation, judge_many, read_histories

# Revisions that are read to judge one write, and one of many.
MAX_REVISIONS = 20
MAX_REVISIONS_OF_EACH = 3

Judge = Callable[[History, WriteId], Change | None]


class LostRace(Conflict):
    """Another write of the same `_id` came first."""


class ItemStore:
    """The items of one database. All of it raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database, self._writes = database, ConfirmedWrites(database)

    def find(self, doc_id: str) -> StoredItem | None:
        """Return an item, None if it is absent or deleted."""
        document = self._database.get(doc_id, conflicts=True)
        return None if document is None else StoredItem.of(document)

    def find_many(self, doc_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Return the existing items by `_id`, read in one request."""
        documents = self._database.get_many(doc_ids, conflicts=True)
        return {doc_id: StoredItem.of(each) for doc_id, each in documents.items()}

    def find_deleted(self, doc_ids: Sequence[str]) -> dict[str, StoredItem]:
        """Return by `_id` the tombstones of deleted items; one made in Fauxton has no fields."""
        winners = self._database.winners(doc_ids, deleted_only=True)
        return {doc_id: StoredItem.of(winner.document) for doc_id, winner in winners.items()}

    def create(self, update: Update) -> StoredItem:
        """Store a new item.

        Raises what ``compose`` raises, LostRace if the `_id` is taken or was deleted, Undone, OutcomeUnknown, and
        Unconfirmed if it could not be found out in time whether it is stored.
        """
        return self._once(update, find_creation).after

    def update(self, update: Update) -> Change:
        """Replace an item, or delete it.

        Where another write comes first, the item is read and composed again. Raises what ``compose`` raises, Conflict
        if others came first every time, OutcomeUnknown, and Unconfirmed as ``create`` does.
        """
        for _ in chain((None,), pauses()):
            with suppress(LostRace):
                return self._once(update, find_change)
        raise Conflict

    def update_many(
        self, updates: Sequence[Update], items: Mapping[str, StoredItem | None]
    ) -> dict[str, Change | ServiceError]:
        """Carry out updates of different items, each once; return the result of each by `_id`.

        ``items`` are the items as they were read; one that is absent is created. Others may come first, which is
        LostRace and not tried again here.
        """
        results: dict[str, Change | ServiceError] = {}
        writes: list[ItemWrite] = []
        for update in updates:
            try:
                item = items.get(update.doc_id)
                if write := _write(update, item):
                    writes.append(write)
                elif item:
                    results[update.doc_id] = Change(item, item)
            except ServiceError as error:
                results[update.doc_id] = error
        for doc_id, result in self._writes.store_many(writes).items():
            if isinstance(result, StoredItem):
                results[doc_id] = Change(items.get(doc_id), result)
            else:
                results[doc_id] = LostRace() if isinstance(result, Conflict) else result
        refused = {each.doc_id: each for each in updates if isinstance(results[each.doc_id], ServiceError)}
        return results | dict(self._arrived_late(refused))

    def find_done(self, write_ids: Mapping[str, Sequence[WriteId]]) -> dict[WriteId, Change | ServiceError]:
        """Return the results of the writes that an earlier run has finished, or whose outcome is unknown.

        ``write_ids`` are by `_id`, in the order of the writes. Writes without a result are to be carried out.
        """
        resumed = [doc_id for doc_id, ids in write_ids.items() if ids[0].since]
        histories = read_histories(self._database, resumed, MAX_REVISIONS_OF_EACH)
        results: dict[WriteId, Change | ServiceError] = {}
        for doc_id, history in histories.items():
            results |= judge_many(history, write_ids[doc_id])
        finished = {write_id: result for write_id, result in results.items() if isinstance(result, Change)}
        proofs = {each.after.doc_id: _proof(each, write_id) for write_id, each in finished.items()}
        proven = self._writes.store_many([proof for proof in proofs.values() if not proof.deletes])
        for write_id, change in finished.items():
            proof = proven.get(change.after.doc_id, change.after)
            if isinstance(proof, StoredItem):
                results[write_id] = Change(change.before, proof)
            else:
                results[write_id] = OutcomeUnknown() if isinstance(proof, Conflict) else proof
        return results

    def _once(self, update: Update, judge: Judge) -> Change:
        """Return the change of an earlier run of the same write, as ``judge`` finds it, else send the write.

        A write of an earlier run may arrive after the first look, so a refusal counts only after a second look.
        """
        if change := self._find(judge, update):
            return change
        try:
            return self._send(update, None if judge is find_creation else self.find(update.doc_id))
        except Unavailable:
            # It says whether anything may be stored. A second look that fails as well would hide that.
            raise
        except ServiceError:
            if change := self._find(judge, update):
                return change
            raise

    def _find(self, judge: Judge, update: Update) -> Change | None:
        """Return the change of an earlier run of a write, proven to be stored by a quorum."""
        doc_id, write_id = update.doc_id, update.write_id
        if write_id.since is None:
            return None
        history = self._history(doc_id)
        change = judge(history, write_id) if history else None
        if history is None or change is None or change.after.is_deleted or change.after is not history.newest:
            return change
        try:
            return Change(change.before, self._writes.store(_proof(change, write_id)))
        except Conflict:
            # Others have changed it since, or its compensation has arrived.
            history = self._history(doc_id)
            return judge(history, write_id) if history else None

    def _history(self, doc_id: str) -> History | None:
        return read_histories(self._database, [doc_id], MAX_REVISIONS).get(doc_id)

    def _send(self, update: Update, item: StoredItem | None) -> Change:
        write = _write(update, item)
        if write is None and item:
            return Change(item, item)
        assert write is not None
        try:
            return Change(item, self._writes.store(write))
        except Conflict as conflict:
            raise LostRace from conflict

    def _arrived_late(self, refused: Mapping[str, Update]) -> Iterator[tuple[str, Change | ServiceError]]:
        """Yield those refused updates that an earlier run has done by now, in the same sense as ``_once``."""
        try:
            results = self.find_done({doc_id: [update.write_id] for doc_id, update in refused.items()})
        except Unavailable as error:
            yield from ((doc_id, error) for doc_id in refused)
            return
        for doc_id, update in refused.items():
            result = results.get(update.write_id)
            if result and not isinstance(result, OutcomeUnknown | Undone):
                yield doc_id, result


def _write(update: Update, item: StoredItem | None) -> ItemWrite | None:
    """Return the next revision of ``item``, None if it stays as it is."""
    if item and update.write_id.since and item.is_by(update.write_id):
        # The first run's write has arrived since the first look; the next one finds it.
        raise LostRace
    replaces, conflicts = (item.revision, item.conflicts) if item else (None, ())
    fields = update.compose(item)
    if fields is None:
        return None
    return ItemWrite(update.doc_id, fields, update.write_id, replaces, update.deletes, conflicts)


def _proof(change: Change, write_id: WriteId) -> ItemWrite:
    """Return the write of an item on top of itself, whose 201 proves that a quorum has it."""
    after = change.after
    return ItemWrite(after.doc_id, after.fields, write_id, after.revision, after.is_deleted)
