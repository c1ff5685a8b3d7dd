"""Compares the design documents of a tree with the deployed ones, and names the cost of each change; pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from couchapp.ddoc_ids import VALIDATOR, content, is_disabled
from couchapp.tree import Document, Tree

Cost = Literal["new index", "index rebuild", "validator", "other"]
# CouchDB identifies an index by these members, so no other change rebuilds it (docs/couchdb-quirks.md).
INDEX_MEMBERS = ("language", "options", "views")
# The design documents in the databases, by name, by database name without its prefix; None is a missing database.
Inventory = Mapping[str, Mapping[str, Document] | None]


@dataclass(frozen=True)
class Difference:
    """A design document that is missing, with ``before`` None, or deployed in another version."""

    database: str
    name: str
    before: Document | None
    after: Document

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The parts that change. A reader waits for an index only, and only if it was not built before."""
        return tuple(self._costs())

    def _costs(self) -> Iterator[Cost]:
        before, after = content(self.before or {}), content(self.after)
        if after.get("views") and not before.get("views"):
            yield "new index"
        elif after.get("views") and any(before.get(member) != after.get(member) for member in INDEX_MEMBERS):
            yield "index rebuild"
        if before.get(VALIDATOR) != after.get(VALIDATOR):
            yield "validator"
        named = {VALIDATOR, "language", *(INDEX_MEMBERS if after.get("views") else ())}
        if any(before.get(member) != after.get(member) for member in (before.keys() | after.keys()) - named):
            yield "other"

    def __str__(self) -> str:
        state = "is not deployed" if self.before is None else "is deployed in another version"
        return f"{self.database}/_design/{self.name} {state}: {', '.join(self.costs) or 'other'}"

    def text(self) -> str:
        """Return the change as a unified diff of the files in the tree."""
        before, after = files(self.before or {}), files(self.after)
        return "\n".join(
            line
            for path in sorted(before.keys() | after.keys())
            for line in _unified(f"{self.database}/{self.name}/{path}", before.get(path), after.get(path))
        )


def differences(tree: Tree, inventory: Inventory) -> list[Difference]:
    """Return the design documents of ``tree`` that ``inventory`` lacks or has in another version.

    Design documents outside the tree are ignored; see unmanaged.
    """
    changes = []
    for database, documents in tree.items():
        deployed = inventory.get(database) or {}
        for name, document in documents.items():
            if name not in deployed or content(deployed[name]) != content(document):
                changes.append(Difference(database, name, deployed.get(name), document))
    return changes


def unmanaged(tree: Tree, inventory: Inventory) -> list[str]:
    """Return the design documents that are not from ``tree``, as `database/_design/name`."""
    return [
        f"{database}/_design/{name}"
        for database, documents in tree.items()
        for name in inventory.get(database) or {}
        if name not in documents and not is_disabled(name)
    ]


def files(document: Document) -> dict[str, str]:
    """Return the texts of a design document by their path in the tree."""
    texts = {}
    for member, value in content(document).items():
        if member == "views" and isinstance(value, dict):
            for view, functions in value.items():
                for function, source in functions.items():
                    texts[f"views/{view}/{'map.js' if function == 'map' else function}"] = str(source)
        elif member == VALIDATOR:
            texts[f"{VALIDATOR}.js"] = str(value)
        elif member != "language" or value != "javascript":
            texts[member] = json.dumps(value, indent=2, sort_keys=True)
    return texts


def _unified(path: str, before: str | None, after: str | None) -> Iterator[str]:
    return difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else f"deployed/{path}",
        "/dev/null" if after is None else f"tree/{path}",
        lineterm="",
    )
