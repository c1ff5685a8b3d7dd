"""Bring versions of an item together, as replication from another region does."""

from __future__ import annotations

import secrets
from typing import Any

from app.domain.resources import DOCUMENT, PROJECT
from app.services import Services
from tests.replication import replicate

TYPES = {each.database: each for each in (DOCUMENT, PROJECT)}
# Revisions of one generation are ordered by their hashes, which begin with these.
LETTERS = "fedcba"
UPDATED_AT = "2026-01-31T12:00:00.000000Z"


def bring_versions(services: Services, kind: str, public_id: int, *versions: dict[str, Any]) -> list[str]:
    """Add a version for each, all on top of the current one, and return their tags, the current one first.

    The first version is to be the winner. A member that is None is removed. Nothing else may write the item.
    """
    resource_type, database = TYPES[kind], services.store[kind]
    stored = database.get(resource_type.doc_id(public_id))
    assert stored is not None
    base = stored.pop("_rev")
    generation = int(base.partition("-")[0]) + 1
    leaves = [f"{generation}-{letter}{secrets.token_hex(16)[1:]}" for letter in LETTERS[: len(versions)]]
    branches = [
        ({**_changed(stored, version), "nonce": f"{number:032x}"}, (leaf, base))
        for number, (leaf, version) in enumerate(zip(leaves, versions, strict=True))
    ]
    replicate(services.settings.couchdb_url, database.name, *branches)
    return [f'"{leaf}"' for leaf in leaves]


def _changed(stored: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    members = {**stored, "updated_at": UPDATED_AT, "updated_by": "elsewhere", **version}
    return {name: value for name, value in members.items() if value is not None}
