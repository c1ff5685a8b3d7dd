"""What became of items since a moment, so that a repeated request finds what an earlier run of it has written."""

from __future__ import annotations

from collections.abc import Sequence

from app.errors import Conflict
from app.store.database import Database
from app.store.items import Change, StoredItem
from app.store.write_id import undoing

# The revisions of an item, tombstones included, the latest first.
History = Sequence[StoredItem]
# How many revisions of an item are read in one request at most.
AT_ONCE = 32


def histories(database: Database, doc_ids: Sequence[str], since: str) -> dict[str, History]:
    """Return by `_id` the revisions that were written ``since``, and one before them, as far as they are kept.

    All go back together, twice as far with each request as with the one before: it takes few requests where little was
    written, and not many more where much was.
    """
    leaves = database.leaves(doc_ids)
    found = {doc_id: [StoredItem(leaf.document["_rev"], leaf.document)] for doc_id, leaf in leaves.items()}
    length, start = 1, 1
    # A deletion in Fauxton leaves no time.
    while younger := [doc_id for doc_id, history in found.items() if _reaches(history, start, since)]:
        wanted = [(doc_id, rev) for doc_id in younger for rev in leaves[doc_id].lineage[start : start + length]]
        read = {(document["_id"], document["_rev"]): document for document in database.revisions(wanted)}
        for doc_id, revision in wanted:
            # What is missing was compacted away, and what is older with it.
            if (doc_id, revision) in read:
                found[doc_id].append(StoredItem(revision, read[doc_id, revision]))
        start, length = start + length, min(2 * length, AT_ONCE)
    return dict(found)


def _reaches(history: History, start: int, since: str) -> bool:
    """Tell whether all revisions up to ``start`` are kept and the last of them is not older than ``since``."""
    return len(history) == start and history[-1].fields.get("updated_at", since) >= since


def made(history: History, nonce: str) -> Change | None:
    """Return what the write with this nonce has done, unless it was undone.

    Where it was written again as its own proof, that is the result. An item of which is not kept what it was is taken
    to have been as it is, so that nothing is undone that may always have been so.
    """
    first = next((age for age, item in enumerate(history) if item.fields.get("nonce") == nonce), None)
    if first is None or any(item.fields.get("nonce") == undoing(nonce) for item in history[:first]):
        return None
    after = history[first]
    older = next((item for item in history[first:] if item.fields.get("nonce") != nonce), None)
    if older is None and not history[-1].revision.startswith("1-"):
        older = after
    return Change(older, after)


def created(history: History, nonce: str) -> Change | None:
    """Return the same of a creation: what stands on a tombstone came to life over it, and is none.

    Unless its own creation is below, which others have deleted before it was sent again. Raises Conflict if it was
    undone: then its id is used up.
    """
    if any(item.fields.get("nonce") == undoing(nonce) for item in history):
        raise Conflict
    change = made(history, nonce)
    if change is None:
        return None
    is_first = history[-1].revision.startswith("1-") and history[-1].fields.get("nonce") == nonce
    return Change(None, change.after) if is_first or change.before in (None, change.after) else None
