"""Compares the design documents that are wanted with those that are deployed, and says what a change costs; pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from couchapp.ddoc_ids import VALIDATOR, content, is_at_rest
from couchapp.tree import Document, Tree

Cost = Literal["new index", "index rebuild", "validator", "other"]
# The index is identified by these members (FACTS 1.11), so that no other change rebuilds it.
INDEXED = ("language", "options", "views")
Deployed = Mapping[str, Mapping[str, Document] | None]


@dataclass(frozen=True)
class Difference:
    """A design document that is not deployed as it is wanted. ``before`` is None where there is none."""

    database: str
    name: str
    before: Document | None
    after: Document

    @property
    def costs(self) -> tuple[Cost, ...]:
        """What changes: readers only ever wait for an index, and only where it is not built beforehand."""
        return tuple(self._costs())

    def _costs(self) -> Iterator[Cost]:
        before, after = content(self.before or {}), content(self.after)
        if after.get("views") and not before.get("views"):
            yield "new index"
        elif after.get("views") and any(before.get(member) != after.get(member) for member in INDEXED):
            yield "index rebuild"
        if before.get(VALIDATOR) != after.get(VALIDATOR):
            yield "validator"
        told = {VALIDATOR, *INDEXED} if after.get("views") else {VALIDATOR}
        if any(before.get(name) != after.get(name) for name in (before.keys() | after.keys()) - told - {"language"}):
            yield "other"

    def __str__(self) -> str:
        state = "is not deployed" if self.before is None else "is deployed differently"
        return f"{self.database}/_design/{self.name} {state}: {', '.join(self.costs) or 'other'}"

    def text(self) -> str:
        """Return the change as a unified diff of the files that the design document was made of."""
        before, after = files(self.before or {}), files(self.after)
        return "\n".join(
            line
            for path in sorted(before.keys() | after.keys())
            for line in _unified(f"{self.database}/{self.name}/{path}", before.get(path), after.get(path))
        )


def differences(wanted: Tree, deployed: Deployed) -> list[Difference]:
    """Return the design documents of ``wanted`` that ``deployed`` lacks or has otherwise.

    ``deployed`` holds design documents by name by database name without prefix; None is a missing database.
    What it holds beyond ``wanted`` is nobody's business here; see strangers.
    """
    found = []
    for database, documents in wanted.items():
        there = deployed.get(database) or {}
        for name, document in documents.items():
            if name not in there or content(there[name]) != content(document):
                found.append(Difference(database, name, there.get(name), document))
    return found


def strangers(wanted: Tree, deployed: Deployed) -> list[str]:
    """Return the design documents that someone else has put there, as `database/_design/name`."""
    return [
        f"{database}/_design/{name}"
        for database, documents in wanted.items()
        for name in deployed.get(database) or {}
        if name not in documents and not is_at_rest(name)
    ]


def files(document: Document) -> dict[str, str]:
    """Return the texts in a design document by the path that they have in the tree."""
    found = {}
    for member, value in content(document).items():
        if member == "views" and isinstance(value, dict):
            for view, functions in value.items():
                for function, source in functions.items():
                    found[f"views/{view}/{'map.js' if function == 'map' else function}"] = str(source)
        elif member == VALIDATOR:
            found[f"{VALIDATOR}.js"] = str(value)
        elif member != "language" or value != "javascript":
            found[member] = json.dumps(value, indent=2, sort_keys=True)
    return found


def _unified(path: str, before: str | None, after: str | None) -> Iterator[str]:
    return difflib.unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        "/dev/null" if before is None else f"deployed/{path}",
        "/dev/null" if after is None else f"wanted/{path}",
        lineterm="",
    )
