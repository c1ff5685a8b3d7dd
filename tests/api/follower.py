"""A client that keeps a copy of the items by `GET /changes`, as docs/changes.md describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.api.conftest import Answer, Caller

Key = tuple[str, int]


@dataclass
class Follower:
    """A client that keeps a copy of the items by `/changes`."""

    caller: Caller
    query: str = ""
    since: str | None = None
    items: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def poll(self, more: str = "") -> Answer:
        """Send one request, and apply its changes."""
        since = f"&since={self.since}" if self.since else ""
        answer = self.caller.get(f"/changes?include=value{self.query}{since}{more}")
        if answer.status_code == 200:
            self.apply(answer.json["changes"])
            self.since = answer.json["next"]
        return answer

    def apply(self, changes: list[dict[str, Any]]) -> None:
        for change in changes:
            key = (change["type"], change["id"])
            if change.get("deleted"):
                self.items.pop(key, None)
            else:
                self.items[key] = change["value"]

    def sync(self, more: str = "") -> list[dict[str, Any]]:
        """Poll until there is nothing more; return all changes."""
        changes: list[dict[str, Any]] = []
        for _ in range(1000):
            answer = self.poll(more)
            assert answer.status_code == 200, answer.text
            changes += answer.json["changes"]
            if answer.json["caught_up"]:
                return changes
        raise AssertionError("it never catches up")

    @property
    def ids(self) -> list[Key]:
        return sorted(self.items)
