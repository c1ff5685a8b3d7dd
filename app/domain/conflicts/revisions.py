"""Composes the revisions that reduce several leaves to one: a merge, and tombstones.

They are functions of the leaves alone, in a fixed order of members. So every region stores the same revisions, and
replication finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.changes.departures import LEFT
from app.domain.resources import ResourceType
from app.store.items import MERGED_FROM, Fields, ItemWrite
from app.store.leaves import Leaf, merge_write, tombstone_write

# The principal of merges and of their tombstones.
MERGED_BY = "merge"


def merge(resource_type: ResourceType, versions: Sequence[Leaf], members: Fields) -> ItemWrite:
    """Return the merge of ``versions``, the winner first, with these members.

    Hidden members of the versions that are not named here, such as the mark of a pending deletion, are not in it.
    """
    winner = versions[0].item
    revisions = sorted(version.revision for version in versions)
    fields = {
        "type": resource_type.name,
        "id": resource_type.public_id(winner.doc_id),
        **members,
        "created_at": winner.fields["created_at"],
        "updated_at": max(version.item.fields["updated_at"] for version in versions),
        "updated_by": MERGED_BY,
    }
    departures = _departures(versions, fields)
    return merge_write(versions[0], revisions, {**fields, **departures, MERGED_FROM: revisions})


def tombstone(resource_type: ResourceType, leaf: Leaf) -> ItemWrite:
    """Return the tombstone of a leaf. It keeps the projects of a document, as that of a deletion does."""
    item = leaf.item
    identity = {"type": resource_type.name, "id": resource_type.public_id(item.doc_id)}
    projects = {name: item.fields[name] for name in ("project_id", LEFT) if name in item.fields}
    time = {name: item.fields[name] for name in ("updated_at",) if name in item.fields}
    return tombstone_write(leaf, {**identity, **projects, **time, "updated_by": MERGED_BY})


def _departures(versions: Sequence[Leaf], fields: Fields) -> dict[str, list[Mapping[str, Any]]]:
    """Return the member `left` of a merge: the departures of all versions, and from the projects that they are in.

    A client that follows one of these projects has seen the document in it until now, so that departure is new.
    """
    entries: dict[int, Mapping[str, Any]] = {}
    for entry in (entry for version in versions for entry in version.item.fields.get(LEFT, ())):
        known = entries.get(entry["project"], entry)
        entries[entry["project"]] = max(known, entry, key=lambda each: (each["at"], each["generation"]))
    generation, at = versions[0].item.generation + 1, fields["updated_at"]
    for project_id in (version.item.project_id for version in versions):
        if project_id not in (None, fields.get("project_id")):
            entries[project_id] = {"project": project_id, "generation": generation, "at": at}
    return {LEFT: [entries[project] for project in sorted(entries)]} if entries else {}
