"""Ids in paths: `[1-9][0-9]{0,15}` in ASCII, and nothing else that Python would take for a number."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import BaseConverter

from app.store.items import MAX_ID

# The OpenAPI schema of an id in a path.
PATH_SCHEMA: dict[str, Any] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID}


class IdConverter(BaseConverter):
    """The `<id:…>` part of a rule. A path that does not match is a 404."""

    regex = "[1-9][0-9]{0,15}"

    def to_python(self, value: str) -> int:
        """Return the id."""
        return int(value)
