"""Reads an event stream as browsers do (HTML, section 9.2.6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """An event; ``id`` is None if it has none of its own."""

    name: str
    data: str
    id: str | None

    @property
    def json(self) -> Any:
        """The decoded data."""
        return json.loads(self.data)


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events in the lines of a stream; one that is cut off is not dispatched."""
    fields: dict[str, list[str]] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(":")
        if text:
            fields.setdefault(name, []).append(value.removeprefix(" "))
        elif fields:
            if "data" in fields or "event" in fields:
                yield Event(
                    fields.get("event", ["message"])[-1], "\n".join(fields.get("data", [])), _last(fields, "id")
                )
            fields = {}


def _last(fields: dict[str, list[str]], name: str) -> str | None:
    return fields[name][-1] if name in fields else None
