"""The copy of the items that a follower keeps, and its comparison with the items that its key may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The type and the id of an item.
Name = tuple[str, int]
Items = dict[Name, Any]


@dataclass
class Copy:
    """Items, and the checkpoint that belongs to them.

    ``pass_names`` are the items that a pass without a checkpoint has shown so far; None if no pass is running.
    """

    items: Items = field(default_factory=dict)
    since: str | None = None
    pass_names: set[Name] | None = None

    def save(self) -> Copy:
        """Return the state that a client stores, and goes on from after it was killed."""
        return Copy(dict(self.items), self.since, None if self.pass_names is None else set(self.pass_names))

    def apply(self, change: Mapping[str, Any]) -> None:
        """Take over one change."""
        name = (change["type"], change["id"])
        if change.get("deleted"):
            self.items.pop(name, None)
        else:
            self.items[name] = change["value"]
        if self.pass_names is not None:
            self.pass_names.add(name)

    def take(self, answer: Mapping[str, Any]) -> None:
        """Take over the answer to a poll."""
        for change in answer["changes"]:
            self.apply(change)
        self.since = answer["next"]
        if answer["caught_up"] and self.pass_names is not None:
            for name in self.items.keys() - self.pass_names:
                del self.items[name]
            self.pass_names = None

    def begin_again(self) -> None:
        """Start a pass, after a 410."""
        self.since, self.pass_names = None, set()


@dataclass(frozen=True)
class Deviation:
    """The names of items that a copy has and should not, that it lacks, and that are not up to date."""

    ghosts: tuple[Name, ...]
    missing: tuple[Name, ...]
    stale: tuple[Name, ...]

    @classmethod
    def between(cls, items: Items, readable: Items) -> Deviation:
        """Compare a copy with the items that its key may read."""
        both = items.keys() & readable.keys()
        return cls(
            tuple(sorted(items.keys() - readable)),
            tuple(sorted(readable.keys() - items)),
            tuple(sorted(name for name in both if items[name] != readable[name])),
        )

    def __bool__(self) -> bool:
        return bool(self.ghosts or self.missing or self.stale)
