"""The operations of the served OpenAPI document, for tests that cover all of them, future ones included."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from werkzeug.test import Client

from app import create_app
from tests.offline_settings import OFFLINE_SETTINGS

APP = create_app(OFFLINE_SETTINGS)
TEXT = Client(APP).get("/openapi.json").text
DOCUMENT: dict[str, Any] = json.loads(TEXT)


class Operation(NamedTuple):
    """One method of one path, and its description in the document."""

    path: str
    method: str
    says: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The parameters of the operation and its path."""
        item = DOCUMENT["paths"].get(self.path, {})
        parameters: list[dict[str, Any]] = whole([*self.says.get("parameters", []), *item.get("parameters", [])])
        return parameters


OPERATIONS = [
    Operation(path, method, says)
    for path, item in DOCUMENT["paths"].items()
    for method, says in item.items()
    if method != "parameters"
]


def whole(value: Any) -> Any:
    """Return ``value`` with its references resolved."""
    if isinstance(value, list):
        return [whole(member) for member in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        part: Any = DOCUMENT
        for step in value["$ref"].removeprefix("#/").split("/"):
            part = part[step]
        return whole(part)
    return {name: whole(member) for name, member in value.items()}
