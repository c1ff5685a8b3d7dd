"""What became of items since a moment, so that a repeated request finds what an earlier run of it has written."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.stored import Change, Stored
from app.store import Database

# The revisions of an item, tombstones included, the latest first.
History = Sequence[Stored]


def histories(database: Database, doc_ids: Sequence[str], since: str) -> dict[str, History]:
    """Return by `_id` the revisions that were written ``since``, and the one before them, as far as they are kept.

    All go back one revision with each request, so that it takes few requests where little was written.
    """
    leaves = database.leaves(doc_ids)
    found = {doc_id: [Stored(leaf.document["_rev"], leaf.document)] for doc_id, leaf in leaves.items()}
    latest = list(found)
    while latest:
        wanted = []
        for doc_id in latest:
            lineage, history = leaves[doc_id].lineage, found[doc_id]
            # A deletion in Fauxton leaves no time.
            if len(history) < len(lineage) and history[-1].fields.get("updated_at", since) >= since:
                wanted.append((doc_id, lineage[len(history)]))
        read = database.revisions(wanted)
        for document in read:
            found[document["_id"]].append(Stored(document["_rev"], document))
        latest = [document["_id"] for document in read]
    return dict(found)


def made(history: History, nonce: str) -> Change | None:
    """Return what the write with this nonce has done; where it was written again as its own proof, that is the result.

    An item of which is not kept what it was is taken to have been in no project.
    """
    first = next((age for age, item in enumerate(history) if item.fields.get("nonce") == nonce), None)
    if first is None:
        return None
    after = history[first]
    older = next((item for item in history[first:] if item.fields.get("nonce") != nonce), None)
    if older is None and not history[-1].revision.startswith("1-"):
        older = after.nowhere()
    return Change(older, after)
