"""Shows conflicts to clients and operators, as JSON values."""

from __future__ import annotations

from typing import Any

from app.domain.conflicts.conflicts import ConflictView
from app.domain.conflicts.listing import ConflictRow
from app.domain.merging.description import describe


def describe_row(row: ConflictRow) -> dict[str, Any]:
    """Return a row of the list."""
    identity = {"type": row.resource_type.name, "id": row.public_id}
    return {**identity, "etag": etag(row.revision), "reason": row.reason.value}


def describe_view(view: ConflictView) -> dict[str, Any]:
    """Return the versions of an item, and their merge as far as there is one."""
    base = view.base and {"etag": etag(view.base.revision), "value": view.value(view.base.members)}
    tags = [etag(version.revision) for version in view.versions]
    versions = [
        {
            "etag": tag,
            "value": view.value(version.item.fields),
            "updated_at": version.item.fields.get("updated_at"),
            "updated_by": principal,
        }
        for tag, version, principal in zip(tags, view.versions, view.principals, strict=True)
    ]
    return {
        "reason": view.reason and view.reason.value,
        "pending": view.is_pending,
        "base": base,
        "versions": versions,
        "merge": {} if view.merge is None else describe(view.merge, tags),
    }


def etag(revision: str) -> str:
    """Return the entity tag of a revision, as it is quoted in JSON as well."""
    return f'"{revision}"'
