"""Record the items that a client must find, and compare them with the served ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proofs.service import Reply

DOCUMENTS, PROJECTS = "documents", "projects"


@dataclass(frozen=True)
class Item:
    """A document or project as expected: its members without the id, and its tag."""

    kind: str
    public_id: int
    value: Mapping[str, Any]
    tag: str

    @classmethod
    def served(cls, kind: str, reply: Reply) -> Item:
        """Return the item that an answer shows."""
        members = reply.json
        return cls(kind, members.pop("id"), members, reply.headers["ETag"])

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/{self.kind}/{self.public_id}"

    @property
    def json(self) -> dict[str, Any]:
        """How it is served."""
        return {"id": self.public_id, **self.value}

    @property
    def project_id(self) -> int | None:
        """The project that it is in."""
        return self.value.get("project_id")


@dataclass
class Ledger:
    """The items of one client, and the paths of those that are gone."""

    _items: dict[str, Item] = field(default_factory=dict)
    gone: dict[str, list[int]] = field(default_factory=lambda: {DOCUMENTS: [], PROJECTS: []})
    doubted: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def keep(self, item: Item) -> Item:
        """Record an item as it is now, and return it."""
        assert item.public_id not in self.gone[item.kind], f"{item.path} came back"
        self._items[item.path] = item
        return item

    def doubt(self, kind: str, value: Mapping[str, Any]) -> None:
        """Record the value of an item whose creation has an unknown outcome: it may exist."""
        self.doubted.append((kind, value))

    def drop(self, item: Item) -> None:
        """Record that an item is deleted."""
        del self._items[item.path]
        self.gone[item.kind].append(item.public_id)

    def of(self, kind: str) -> list[Item]:
        """Return the items of one kind."""
        return [item for item in self._items.values() if item.kind == kind]

    def get(self, kind: str, public_id: int) -> Item | None:
        """Return one item as it is now."""
        return self._items.get(f"/{kind}/{public_id}")

    def inside(self, project: Item) -> list[Item]:
        """Return the documents in a project."""
        return [item for item in self.of(DOCUMENTS) if item.project_id == project.public_id]


@dataclass(frozen=True)
class Difference:
    """The differences from the served items; all should be empty."""

    # Paths of missing, unexpected and different items.
    lost: list[str]
    foreign: list[str]
    altered: list[str]
    # Paths that occur more than once, and paths of documents whose project does not exist.
    repeated: list[str]
    orphaned: list[str]

    @classmethod
    def between(
        cls,
        expected: Iterable[Item],
        served: Mapping[str, list[dict[str, Any]]],
        doubted: Sequence[tuple[str, Mapping[str, Any]]] = (),
    ) -> Difference:
        """Compare the expected items with those ``served``, by resource type. ``doubted`` ones may be served too."""
        known = {item.path: item.json for item in expected}
        paths = [f"/{kind}/{each['id']}" for kind, items in served.items() for each in items]
        by_path = dict(zip(paths, (each for items in served.values() for each in items), strict=True))
        homes = {each["id"] for each in served[PROJECTS]}
        return cls(
            lost=sorted(known.keys() - by_path),
            foreign=sorted(path for path in by_path.keys() - known if not _is_doubted(path, by_path[path], doubted)),
            altered=[path for path in known if path in by_path and by_path[path] != known[path]],
            repeated=sorted({path for path in paths if paths.count(path) > 1}),
            orphaned=[path for path, each in by_path.items() if each.get("project_id", None) not in {None, *homes}],
        )

    def require_none(self) -> None:
        """Fail unless every item is served once, as expected."""
        for name in ("lost", "foreign", "altered", "repeated", "orphaned"):
            assert getattr(self, name) == [], name


def _is_doubted(path: str, item: Mapping[str, Any], doubted: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
    members = {name: value for name, value in item.items() if name != "id"}
    return any(path.startswith(f"/{kind}/") and members == value for kind, value in doubted)
