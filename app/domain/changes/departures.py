"""Records the projects that a document has left, in its hidden member `left`.

A client whose key is limited to such a project is notified that the document has left its scope, also if the document
was deleted since.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

from app.store.items import StoredItem

# The hidden member: a list of {project, generation, at}, sorted by project.
LEFT = "left"
# Documents whose reported departures are remembered.
MAX_REPORTED = 100_000


def departures(
    item: StoredItem | None, project_id: int | None, at: str, superseded: Sequence[StoredItem] = ()
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the member `left` of the revision that follows ``item`` and puts it into ``project_id``, or into none.

    Each project has one entry, for the latest time that the document left it. The entry stays when the document comes
    back: its current project decides first. ``at`` is the RFC 3339 time of the new revision, which also takes the
    place of the ``superseded`` versions: the document leaves their projects too.
    """
    if item is None:
        return {}
    versions, entries = (item, *superseded), dict[int, Mapping[str, Any]]()
    for entry in sorted((entry for each in versions for entry in each.fields.get(LEFT, ())), key=itemgetter("at")):
        entries[entry["project"]] = entry
    for each in versions:
        if each.project_id is not None and each.project_id != project_id:
            entries[each.project_id] = {"project": each.project_id, "generation": item.generation + 1, "at": at}
    return {LEFT: [entries[project] for project in sorted(entries)]} if entries else {}


def departures_of_all(leaves: Sequence[StoredItem]) -> list[Mapping[str, Any]]:
    """Return the member `left` of a document in conflict, the current leaf first: the entries of all of its leaves.

    A client may know the document as it is in another leaf, whose project the current one has left.
    """
    current, *others = leaves
    entries = [entry for leaf in leaves for entry in leaf.fields.get(LEFT, ())]
    for leaf in others:
        if leaf.project_id is not None and leaf.project_id != current.project_id:
            at = leaf.fields["updated_at"]
            entries.append({"project": leaf.project_id, "generation": leaf.generation, "at": at})
    latest = {entry["project"]: entry for entry in sorted(entries, key=itemgetter("at"))}
    return [latest[project] for project in sorted(latest)]


class NewDepartures:
    """Remember the departures that were reported, so that later revisions of the document do not repeat them.

    A departure is identified by its project and its generation: a later revision keeps both.
    """

    def __init__(self) -> None:
        self._reported: OrderedDict[str, frozenset[tuple[int, int]]] = OrderedDict()

    def only_new(self, item: StoredItem) -> StoredItem:
        """Return ``item`` with only those departures that the revision before it did not have; note its departures.

        A revision without a departure that was reported is an older one, which shows the document where it was before.
        So the departure is reported again with the next revision that has it.
        """
        reported = self._reported.pop(item.doc_id, frozenset())
        if LEFT not in item.fields:
            return item
        entries = item.fields[LEFT]
        self._reported[item.doc_id] = frozenset(map(_identity, entries))
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)
        new = [entry for entry in entries if _identity(entry) not in reported]
        return replace(item, fields={**item.fields, LEFT: new})


def _identity(entry: Mapping[str, Any]) -> tuple[int, int]:
    return entry["project"], entry["generation"]
