"""Build a request for any operation of the OpenAPI document, and find the places where it names items."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from app.store.items import MAX_ID
from tests.api.conftest import Answer, Caller
from tests.api.operations import Operation, whole

# The type named by a parameter or by a member of a body; None is the type of the path.
NAMES: dict[str, str | None] = {
    "document_id": "document",
    "project_id": "project",
    "key_id": "key",
    "documents": "document",
    "projects": "project",
    "id": None,
    "ids": None,
}
# Query parameters that name no item, with a value for each.
PLAIN = {
    "limit": "2",
    "order": "desc",
    "since": "now",
    "include": "value",
    "type": "document",
    "feed": "poll",
    "timeout": "1",
}
CURSOR = "cursor"
# Takes the place of a key (tests/server/test_ticket_streams.py).
TICKET = "ticket"
# The tag of a version, in a path or a body. The matrix puts an own item's tag in its place.
VERSION = "1-5a0c44d1e2b3f4a5968778695a4b3c2d"
# Members of bodies that hold tags of the item in the path.
TAGS = ("keep", "supersedes")
# Headers to send where they are documented. Last-Event-ID is for streams, and a poll ignores it.
CONDITIONS = ("If-None-Match", "If-Match")
HEADER_NAMES = {"X-Request-ID", "Idempotency-Key", "Last-Event-ID", *CONDITIONS}
# The path of the list of each type.
LISTS = {"document": "documents", "project": "projects", "key": "keys"}


class Incomplete(AssertionError):
    """An operation has a part unknown to this module; the message says what to add."""


@dataclass(frozen=True)
class Place:
    """A place where a request names an item: in its ``path``, ``query`` or ``body``, perhaps in a list."""

    where: str
    name: str
    kind: str
    many: bool = False


Ids = Mapping[Place, int]


@dataclass(frozen=True)
class Request:
    """A request that can be sent with any key."""

    method: str
    url: str
    media_type: str | None = None
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        sent = [f"{name}: {value}" for name, value in self.headers.items()]
        return " ".join([self.method, self.url, *sent, *([json.dumps(self.body)] if self.media_type else [])])

    def with_tags(self, tag: str) -> Request:
        """Return the request with ``tag`` for each tag in its body."""
        if not isinstance(self.body, dict) or TAGS[-1] not in self.body:
            return self
        tags = {"keep": tag, "supersedes": [tag]}
        return replace(self, body={**self.body, **{name: tags[name] for name in TAGS if name in self.body}})

    def send(self, caller: Caller) -> Answer:
        """Send it with a constant request id, so that whole answers can be compared."""
        content = {"data": json.dumps(self.body), "content_type": self.media_type} if self.media_type else {}
        return caller.request(self.method, self.url, headers={"X-Request-ID": "matrix", **self.headers}, **content)


class Template:
    """An operation as a pattern of requests. Raises Incomplete for an unknown part."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        # A method that OpenAPI does not know is an extension.
        self.method = operation.method.removeprefix("x-").upper()
        self.reads = self.method == "GET"
        parts = [part for part in operation.path.split("/") if part in LISTS.values()]
        # A list of conflicts has documents, among others, whose versions the matrix brings together.
        self.lists_conflicts = operation.path == "/conflicts"
        kinds = (kind for kind, name in LISTS.items() if parts[-1:] == [name])
        self.noun = "document" if self.lists_conflicts else next(kinds, "")
        self.success = min(int(status) for status in operation.says["responses"] if status.startswith("2"))
        self.examples = self._examples()
        self.places = (*self._parameters(), *self._members())
        # The versions of one item are no list of items.
        is_paged = any(parameter["name"] == CURSOR for parameter in operation.parameters)
        self.lists = is_paged and not operation.path.endswith("/versions")
        self.headers = {parameter["name"] for parameter in operation.parameters if parameter["in"] == "header"}
        for name in self.headers - HEADER_NAMES:
            raise Incomplete(f"{operation}: name {name} in HEADER_NAMES, and send it in tests/api/key_matrix.py")

    @property
    def plain(self) -> dict[str, str]:
        """The query parameters that name no item, with a value for each."""
        names = {parameter["name"] for parameter in self.operation.parameters}
        return {name: value for name, value in PLAIN.items() if name in names}

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of the path."""
        return ("GET", "HEAD") if self.reads else (self.method,)

    def shows(self, place: Place) -> bool:
        """Return whether every request names an item here."""
        return place.where == "path" or (place.where == "body" and place.name in set(_keys(self.examples)))

    def request(
        self,
        ids: Ids,
        *,
        method: str | None = None,
        media_type: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Request:
        """Return the request that names ``ids``, with one for each place in the path."""
        path = self.operation.path.format(tag=VERSION, **{place.name: number for place, number in ids.items()})
        named = {place.name: str(number) for place, number in ids.items() if place.where == "query"}
        search = urlencode({**named, **(query or {})})
        media_type = media_type or next(iter(self.examples), None)
        body = self._body(media_type, ids) if media_type else None
        return Request(method or self.method, f"{path}?{search}" if search else path, media_type, body, headers or {})

    def _body(self, media_type: str, ids: Ids) -> Any:
        places = [place for place in self.places if place.where == "body"]
        values = {place.name: [ids[place]] if place.many else ids[place] for place in places if place in ids}
        body = _named(self.examples[media_type], values, {place.name for place in places} - values.keys())
        missing = {name: value for name, value in values.items() if name not in set(_keys(body))}
        return {**body, **missing} if missing else body

    def _examples(self) -> dict[str, Any]:
        content = whole(self.operation.says.get("requestBody", {})).get("content", {})
        for media_type, described in content.items():
            if "example" not in described:
                raise Incomplete(f"{self.operation}: the schema of its {media_type} body needs EXAMPLES")
        return {media_type: described["example"] for media_type, described in content.items()}

    def _parameters(self) -> Iterator[Place]:
        for parameter in self.operation.parameters:
            where, name = parameter["in"], parameter["name"]
            if (where == "path" and name != "tag") or (where == "query" and name not in (CURSOR, TICKET, *PLAIN)):
                yield Place(where, name, self._kind(name, f"the {where} parameter {name}"))

    def _members(self) -> Iterator[Place]:
        content = whole(self.operation.says.get("requestBody", {})).get("content", {})
        schemas = [described["schema"] for described in content.values()]
        members = {name: many for schema in schemas for name, many in _identifiers(schema)}
        outer = {name for schema in schemas for name in schema.get("properties", {})}
        for name, many in members.items():
            if name not in outer and name not in set(_keys(self.examples)):
                raise Incomplete(f"{self.operation}: the EXAMPLES of its body must show {name}, which names something")
            yield Place("body", name, self._kind(name, f"the member {name} of a body"), many)

    def _kind(self, name: str, what: str) -> str:
        kind = NAMES.get(name, "") or (self.noun if name in NAMES else "")
        if not kind:
            raise Incomplete(f"{self.operation}: say in NAMES of {__name__} which kind of thing {what} names")
        return kind


def _identifiers(schema: Any) -> Iterator[tuple[str, bool]]:
    """Yield the members of a schema at any depth that hold an id or a list of ids, and whether it is a list."""
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _identifiers(value)
    for name, member in schema.get("properties", {}).items() if isinstance(schema, dict) else ():
        for inner, many in ((member, False), (member.get("items", {}), True)):
            if inner.get("maximum") == MAX_ID:
                yield name, many


def _keys(value: Any) -> Iterator[str]:
    """Yield the names of all members at any depth."""
    if isinstance(value, dict):
        yield from value
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(member)


def _named(value: Any, values: Mapping[str, Any], without: set[str]) -> Any:
    """Return a copy of ``value`` with these members replaced at any depth, and ``without`` those.

    Of several operations, only those that name an item stay: a creation would take an id that the matrix predicts.
    """
    if isinstance(value, list):
        naming = [member for member in value if not (values.keys() | without).isdisjoint(_keys(member))]
        return [_named(member, values, without) for member in naming or value]
    if not isinstance(value, dict):
        return copy.deepcopy(value)
    members = {name: inner for name, inner in value.items() if name not in without}
    return {name: values.get(name, _named(inner, values, without)) for name, inner in members.items()}
