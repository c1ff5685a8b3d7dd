"""The versions that items had, in `-history`: each is written once, and is the same in every region."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from app.errors import Conflict, Unavailable
from app.store.bulk_writes import parts
from app.store.database import Database, Revision
from app.store.exchange import DocumentFailure, Outcome
from app.store.items import new_document
from app.store.version import LOST, Version, mark_id, revision_of, version_id

__all__ = ["StoredPage", "Version", "VersionStore"]

log = logging.getLogger("dreamscript.history")

# `_id`s that are looked up in one request, and versions that one request deletes.
IDS_PER_REQUEST = 1_000
# A read of versions ends once their texts have this many characters, and the first one reads no more than this number.
MAX_READ_CHARACTERS = 2**23
FIRST_READ_VERSIONS = 20


class StoredPage(NamedTuple):
    """Versions of an item, newest first, and whether there are no older ones."""

    versions: tuple[Version, ...]
    is_last: bool


class VersionStore:
    """The versions of all items. All of it raises Unavailable, also where `-history` was not deployed yet.

    Reads find nothing of a forgotten item.
    """

    def __init__(self, history: Database) -> None:
        self._history = history

    def find(self, doc_id: str, revisions: Iterable[str]) -> dict[str, Version]:
        """Return those versions of an item that are stored, by revision."""
        ids = [version_id(doc_id, revision) for revision in revisions]
        documents = self._history.get_many([mark_id(doc_id), *ids, *(each + LOST for each in ids)])
        if documents.pop(mark_id(doc_id), None):
            return {}
        # A version comes after the same one as lost, and replaces it.
        versions = [Version.of(documents[each]) for each in sorted(documents, reverse=True)]
        return {version.revision: version for version in versions}

    def read(self, doc_id: str, revision: str) -> Version | None:
        """Return one version, attributed; None if it is not stored."""
        version = self.find(doc_id, [revision]).get(revision)
        return None if version is None else self.attributed([version])[0]

    def page(self, doc_id: str, before: str | None, limit: int) -> StoredPage:
        """Return up to ``limit`` versions that come before the revision ``before``, newest first, and attributed.

        A page of large versions has fewer.
        """
        end = version_id(doc_id, before) if before else f"version:{doc_id};"
        # Each version may be there as lost as well.
        rows = self._history.ids(end, f"version:{doc_id}:", limit=2 * limit + 2, descending=True)
        revisions = [each for each in dict.fromkeys(revision_of(row.id) for row in rows) if each != before]
        versions: list[Version] = []
        characters = 0
        for version in self._read_in_steps(doc_id, revisions[:limit]):
            versions.append(version)
            characters += version.characters
            if characters >= MAX_READ_CHARACTERS:
                break
        is_last = not versions or versions[-1].revision == revisions[-1]
        return StoredPage(tuple(self.attributed(versions)), is_last)

    def attributed(self, versions: Sequence[Version]) -> list[Version]:
        """Return versions of one item, without the principals of those that the API did not write.

        Their parents show that; those that are not among them are read.
        """
        known = {version.revision: version for version in versions}
        absent = [each.parents[0] for each in versions if each.parents and each.parents[0] not in known]
        if absent:
            known |= self.find(versions[0].doc_id, absent)
        return [version.attributed(known.get(version.parents[0]) if version.parents else None) for version in versions]

    def outlines(self, stored_ids: Sequence[str]) -> dict[str, Version]:
        """Return by `_id` those of the stored versions that exist, without the values of their members."""
        outlines: dict[str, Version] = {}
        start, count = 0, FIRST_READ_VERSIONS
        while start < len(stored_ids):
            documents = self._history.get_many(stored_ids[start : start + count])
            versions = {stored_id: Version.of(document) for stored_id, document in documents.items()}
            characters = sum(version.characters for version in versions.values())
            start += count
            fitting = MAX_READ_CHARACTERS * len(versions) // characters if characters else IDS_PER_REQUEST
            count = max(1, min(2 * count, fitting))
            outlines |= {each: version.without_values for each, version in versions.items()}
        return outlines

    def missing(self, revisions: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return those revisions, each an `_id` and a revision, that were never written, neither whole nor as lost."""
        by_id = {version_id(*each): each for each in revisions}
        taken = self._taken([*by_id, *(each + LOST for each in by_id)])
        return [each for stored_id, each in by_id.items() if taken.isdisjoint((stored_id, stored_id + LOST))]

    def write(self, versions: Sequence[Version], certain: Collection[str] = ()) -> list[Version]:
        """Store versions; return the new ones. One that was there, or was deleted since, is left as it is.

        A lost one is left out if the same version is there. Nothing is looked up for the items ``certain``, whose
        versions were certainly not deleted: CouchDB refuses those that are there.

        Versions of forgotten items are left out. Raises Unavailable if it is not certain that all are stored.
        """
        by_id = {version.stored_id: version for version in versions}
        uncertain = [version for version in versions if version.is_lost or version.doc_id not in certain]
        taken = self._taken(list(dict.fromkeys(each for version in uncertain for each in _obstacles(version))))
        documents = [version.document() for version in by_id.values() if taken.isdisjoint(_obstacles(version))]
        outcomes: dict[str, Outcome] = {}
        for part in parts(documents):
            outcomes |= self._history.write_many(part)
        if DocumentFailure.UNKNOWN in outcomes.values():
            raise Unavailable
        if refused := [each for each, outcome in outcomes.items() if outcome is DocumentFailure.FORBIDDEN]:
            log.error("the database refused versions: deploy its views", extra={"versions": refused})
        return [by_id[stored_id] for stored_id, outcome in outcomes.items() if isinstance(outcome, str)]

    def forget(self, doc_id: str) -> None:
        """Mark an item as forgotten, permanently, and delete its versions. It can be repeated."""
        type_name, _, number = doc_id.partition(":")
        try:
            self._history.create(
                new_document(mark_id(doc_id), {"type": "forgotten", "item": type_name, "id": int(number)})
            )
        except Conflict:
            log.info("%s is forgotten already", doc_id)
        while rows := self._history.ids(f"version:{doc_id}:", f"version:{doc_id};", limit=IDS_PER_REQUEST):
            self.delete(rows)

    def forgotten(self, doc_ids: Iterable[str]) -> set[str]:
        """Return those of the items that are forgotten."""
        marks = {mark_id(doc_id): doc_id for doc_id in doc_ids}
        return {marks[each] for each in self._taken(list(marks))}

    def delete(self, rows: Sequence[Revision]) -> int:
        """Delete documents of versions; return how many were. Another process may delete them at the same time."""
        outcomes = list(self._history.delete_many(rows).values())
        if DocumentFailure.UNKNOWN in outcomes:
            raise Unavailable
        return sum(isinstance(outcome, str) for outcome in outcomes)

    def _taken(self, doc_ids: Sequence[str]) -> set[str]:
        taken: set[str] = set()
        for start in range(0, len(doc_ids), IDS_PER_REQUEST):
            taken |= self._history.taken(doc_ids[start : start + IDS_PER_REQUEST])
        return taken

    def _read_in_steps(self, doc_id: str, revisions: Sequence[str]) -> Iterator[Version]:
        """Yield versions; the size of those read decides how many are read in the next request."""
        start, count = 0, FIRST_READ_VERSIONS
        while start < len(revisions):
            by_revision = self.find(doc_id, revisions[start : start + count])
            yield from (by_revision[each] for each in revisions[start : start + count] if each in by_revision)
            start += count
            size = sum(version.characters for version in by_revision.values())
            count = max(1, MAX_READ_CHARACTERS * len(by_revision) // size) if size else FIRST_READ_VERSIONS


def _obstacles(version: Version) -> tuple[str, ...]:
    """Return the `_id`s that keep a version from being written: the mark, its own, and a lost one's whole version."""
    return mark_id(version.doc_id), version.stored_id, version.stored_id.removesuffix(LOST)
