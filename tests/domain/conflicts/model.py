"""A region in memory: one item's revision tree with CouchDB's rules, its history, and a resolver on both."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import md5
from itertools import count
from typing import Any, cast

from app.domain.conflicts.arrivals import Arrivals
from app.domain.conflicts.judge import Judge
from app.domain.conflicts.judgement import Judgement
from app.domain.conflicts.reducer import Reducer
from app.domain.resources import DOCUMENT, ResourceType
from app.metrics import Metrics
from app.store.items import MERGED_FROM, Fields, ItemWrite, StoredItem, WriteId
from app.store.leaves import MAX_LEAVES, Leaf, Leaves, winner_order
from app.store.versions import Version, VersionStore

TIMES = count()


class Tree:
    """The revision trees of a database, as Leaves shows them. Bodies of revisions below leaves may be absent."""

    def __init__(self) -> None:
        # By `_id` and revision the revision below, and by both the document.
        self.below: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
        self.bodies: dict[tuple[str, str], dict[str, Any]] = {}
        # The documents that were written here and not replicated, by revision.
        self.written: dict[str, dict[str, Any]] = {}

    @property
    def writes(self) -> int:
        return len(self.written)

    def lineage(self, doc_id: str, revision: str) -> tuple[str, ...]:
        lineage, below = [revision], self.below[doc_id].get(revision)
        while below:
            lineage.append(below)
            below = self.below[doc_id].get(below)
        return tuple(lineage)

    def every_leaf(self, doc_id: str) -> set[str]:
        return set(self.below[doc_id]) - set(self.below[doc_id].values())

    def revisions(self, doc_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        live = {
            doc_id: [each for each in self.every_leaf(doc_id) if not self.bodies[doc_id, each].get("_deleted")]
            for doc_id in doc_ids
        }
        return {doc_id: tuple(sorted(each, key=winner_order, reverse=True)) for doc_id, each in live.items() if each}

    def read(self, doc_ids: Sequence[str]) -> dict[str, tuple[Leaf, ...]]:
        return {doc_id: self.read_revisions(doc_id, live) for doc_id, live in self.revisions(doc_ids).items()}

    def read_revisions(self, doc_id: str, revisions: Sequence[str]) -> tuple[Leaf, ...]:
        return tuple(self._leaf(doc_id, each) for each in revisions[:MAX_LEAVES] if (doc_id, each) in self.bodies)

    def read_all(self, doc_id: str) -> tuple[Leaf, ...]:
        return tuple(self._leaf(doc_id, each) for each in self.every_leaf(doc_id))

    def store(self, writes: Sequence[ItemWrite]) -> None:
        for write in writes:
            self.write(write)

    def write(self, write: ItemWrite) -> str | None:
        """Store a revision on top of a leaf; return it, None if there is no such leaf."""
        document = write.document()
        doc_id, below = document.pop("_id"), document.pop("_rev", None)
        if below is not None and below not in self.every_leaf(doc_id):
            return None
        digest = md5(json.dumps([below, document]).encode(), usedforsecurity=False).hexdigest()
        revision = f"{winner_order(below)[0] + 1 if below else 1}-{digest}"
        self.add(doc_id, revision, below, document)
        self.written[revision] = document
        return revision

    def add(self, doc_id: str, revision: str, below: str | None, document: dict[str, Any]) -> None:
        self.below[doc_id][revision] = below
        self.bodies[doc_id, revision] = document

    def pull(self, source: Tree) -> None:
        """Copy the leaves of another tree, as replication does: without the bodies below them."""
        for doc_id in source.below:
            for leaf in source.every_leaf(doc_id) - self.below[doc_id].keys():
                self.bodies[doc_id, leaf] = source.bodies[doc_id, leaf]
                for each in source.lineage(doc_id, leaf):
                    self.below[doc_id].setdefault(each, source.below[doc_id][each])

    def compact(self) -> None:
        """Forget the bodies below the leaves."""
        for doc_id in self.below:
            for revision in self.below[doc_id].keys() - self.every_leaf(doc_id):
                self.bodies.pop((doc_id, revision), None)

    def _leaf(self, doc_id: str, revision: str) -> Leaf:
        document = {"_id": doc_id, "_rev": revision, **self.bodies[doc_id, revision]}
        return Leaf(StoredItem.of(document), self.lineage(doc_id, revision))


class History:
    """The versions of one region, as VersionStore finds them."""

    def __init__(self) -> None:
        self.versions: dict[tuple[str, str], Version] = {}

    def find(self, doc_id: str, revisions: Iterable[str]) -> dict[str, Version]:
        return {each: self.versions[doc_id, each] for each in revisions if (doc_id, each) in self.versions}

    def keep(self, leaves: Sequence[Leaf]) -> None:
        for leaf in (leaf for leaf in leaves if (leaf.item.doc_id, leaf.revision) not in self.versions):
            fields, item = leaf.item.fields, leaf.item
            members = {name: fields[name] for name in DOCUMENT.members if name in fields}
            parents = dict.fromkeys((*leaf.lineage[1:2], *fields.get(MERGED_FROM, ())))
            version = Version(
                item.doc_id,
                item.revision,
                members,
                updated_by=item.updated_by,
                parents=tuple(parents),
                is_deleted=item.is_deleted,
            )
            self.versions[item.doc_id, item.revision] = version


class Region:
    """A region with one type of items. The clock stands still unless it is set."""

    def __init__(self, *, keeps_history: bool = True, projects: Iterable[int] = range(1, 100)) -> None:
        self.tree, self.history, self.seconds = Tree(), History(), 0.0
        self.keeps_history, self.projects = keeps_history, set(projects)
        leaves = {DOCUMENT: cast(Leaves, self.tree)}
        versions = cast(VersionStore, self.history)
        self._judge = Judge(leaves, versions, self.projects.__contains__, Arrivals(lambda: self.seconds))
        self.metrics = Metrics()
        self._reducer = Reducer(self._judge, leaves, self._keep, self.metrics)

    def edit(self, doc_id: str, below: str | None = None, **members: Any) -> str:
        """Store a new item, or the next revision of its current one or of ``below``; return the revision."""
        live = self.tree.revisions([doc_id]).get(doc_id)
        below = below or (live[0] if live else None)
        previous = self.tree.bodies[doc_id, below] if below else {}
        created_at = previous.get("created_at", time())
        fields = {
            "type": DOCUMENT.name,
            "id": DOCUMENT.public_id(doc_id),
            "updated_by": "someone",
            **{name: it for name, it in members.items() if it is not None},
            "created_at": created_at,
            "updated_at": time(),
        }
        revision = self.tree.write(ItemWrite(doc_id, fields, WriteId(), below))
        assert revision
        self.capture()
        return revision

    def delete(self, doc_id: str, below: str | None = None) -> str:
        """Delete the current revision of an item, or ``below``."""
        below = below or self.tree.revisions([doc_id])[doc_id][0]
        fields = {"type": DOCUMENT.name, "id": DOCUMENT.public_id(doc_id), "updated_at": time()}
        revision = self.tree.write(ItemWrite(doc_id, fields, WriteId(), below, deletes=True))
        assert revision
        self.capture()
        return revision

    def capture(self) -> None:
        """Write the versions of all leaves."""
        if self.keeps_history:
            for doc_id in list(self.tree.below):
                known = (each for each in self.tree.every_leaf(doc_id) if (doc_id, each) not in self.history.versions)
                self.history.keep(self.tree.read_revisions(doc_id, list(known)))

    def pull(self, source: Region, *, with_history: bool = True) -> None:
        """Replicate from another region."""
        self.tree.pull(source.tree)
        if with_history:
            self.history.versions |= source.history.versions
        self.capture()

    def judge(self, doc_id: str, resource_type: ResourceType = DOCUMENT) -> Judgement:
        return self._judge.judge_many(resource_type, [doc_id])[doc_id]

    def resolve(self, doc_id: str) -> list[Judgement | None]:
        """Look once at an item; return its judgement if it has several live leaves."""
        judgements = [judgement for _, judgement in self._reducer.reduce_each(DOCUMENT, [doc_id])]
        self.capture()
        return judgements

    def live(self, doc_id: str) -> tuple[str, ...]:
        return self.tree.revisions([doc_id]).get(doc_id, ())

    def fields(self, doc_id: str) -> Fields:
        """Return the fields of the current revision of an item."""
        return self.tree.read([doc_id])[doc_id][0].item.fields

    def members(self, doc_id: str) -> Mapping[str, Any]:
        fields = self.fields(doc_id)
        return {name: fields[name] for name in DOCUMENT.members if name in fields}

    def _keep(self, leaves: Sequence[Leaf]) -> None:
        if self.keeps_history:
            self.history.keep(leaves)


def time() -> str:
    """Return a time later than all before it."""
    return f"2026-01-01T00:00:00.{next(TIMES):06d}Z"


def sync(*regions: Region) -> None:
    """Replicate between all regions, in both directions."""
    for source in regions:
        for target in regions:
            if target is not source:
                target.pull(source)
