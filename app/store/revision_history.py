"""Judge by an item's latest revisions whether an earlier run of a write is done (docs/decisions/repeats.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Conflict, OutcomeUnknown, ServiceError
from app.store.database import Database
from app.store.items import Change, StoredItem, WriteId


class Undone(Conflict):
    """An earlier run has undone its own write, which uses up the id of a creation."""


@dataclass(frozen=True)
class History:
    """The ``latest`` revisions of an item, newest first, and its ``first``; None stands for a compacted one."""

    latest: tuple[StoredItem | None, ...]
    first: StoredItem | None
    is_whole: bool

    @property
    def newest(self) -> StoredItem:
        """The current revision, whose body CouchDB always keeps."""
        item = self.latest[0]
        assert item is not None
        return item

    def before(self, write_id: WriteId) -> StoredItem | None:
        """Return the item as it was before a write.

        If compaction removed that revision, assume that nothing changed, so that nothing is undone on a guess.
        """
        written: StoredItem | None = None
        for item in self.latest:
            if item is None:
                return written
            if item.is_by(write_id):
                written = item
            elif written:
                return item
        return None if self.is_whole else written


def read_histories(database: Database, doc_ids: Sequence[str], depth: int) -> dict[str, History]:
    """Return by `_id` the latest ``depth`` revisions of each item and its first, in three requests."""
    winners = database.winners(doc_ids)
    below = {doc_id: (*winner.lineage[1:depth], *winner.lineage[1:][-1:]) for doc_id, winner in winners.items()}
    revision_ids = {(doc_id, revision) for doc_id, revisions in below.items() for revision in revisions}
    bodies = {(each["_id"], each["_rev"]): StoredItem.of(each) for each in database.revisions(sorted(revision_ids))}
    bodies |= {(doc_id, winner.lineage[0]): StoredItem.of(winner.document) for doc_id, winner in winners.items()}
    return {
        doc_id: History(
            tuple(bodies.get((doc_id, revision)) for revision in winner.lineage[:depth]),
            bodies.get((doc_id, winner.lineage[-1])) if winner.lineage[-1].startswith("1-") else None,
            len(winner.lineage) <= depth,
        )
        for doc_id, winner in winners.items()
    }


def find_newest(history: History, write_ids: Sequence[WriteId]) -> StoredItem | None:
    """Return the newest revision that one of these writes made or that undid one, None if there is none since then.

    Raises OutcomeUnknown if compaction or too many later revisions hide that.
    """
    since, nonces = write_ids[0].since or "", {nonce for each in write_ids for nonce in each.nonces}
    for item in history.latest:
        if item is None:
            raise OutcomeUnknown
        if item.nonce in nonces:
            return item
        if item.is_older_than(since):
            return None
    if history.is_whole:
        return None
    raise OutcomeUnknown


def find_change(history: History, write_id: WriteId) -> Change | None:
    """Return the change of a write, None if there is none or it was undone. Raises OutcomeUnknown."""
    item = find_newest(history, [write_id])
    return Change(history.before(write_id), item) if item and item.is_by(write_id) else None


def find_creation(history: History, write_id: WriteId) -> Change | None:
    """Return the creation by a write, None if another write created it. Raises Undone and OutcomeUnknown.

    A revision on top of a tombstone is a resurrection, not a creation.
    """
    items = [item for item in (*history.latest, history.first) if item]
    if any(item.is_by(write_id.compensation) for item in items):
        raise Undone
    created = next((item for item in items if item.is_by(write_id)), None)
    if history.first is not None:
        return Change(None, created) if created and history.first.is_by(write_id) else None
    before = history.before(write_id)
    if created is None or (before and before.is_deleted):
        raise OutcomeUnknown
    return Change(None, created)


def judge_many(history: History, write_ids: Sequence[WriteId]) -> dict[WriteId, Change | ServiceError]:
    """Return the results of those writes of one item, in their order, that are not to be carried out.

    The current revision decides. If one of the writes made it, those after it have not been done. Those before it were
    done or refused, and no revision shows which. If another write made it, it may have replaced any of them.
    """
    try:
        item = find_newest(history, write_ids)
    except OutcomeUnknown:
        return dict.fromkeys(write_ids, OutcomeUnknown())
    if item is None:
        return {}
    if item is not history.newest:
        return dict.fromkeys(write_ids, OutcomeUnknown())
    place = next(place for place, write_id in enumerate(write_ids) if item.nonce in write_id.nonces)
    results: dict[WriteId, Change | ServiceError] = dict.fromkeys(write_ids[:place], OutcomeUnknown())
    write_id, before = write_ids[place], history.before(write_ids[place])
    if not item.is_by(write_id):
        results[write_id] = Undone()
    else:
        # A revision on top of a tombstone is a resurrection.
        is_resurrected = before is not None and before.is_deleted
        results[write_id] = OutcomeUnknown() if is_resurrected else Change(before, item)
    return results
