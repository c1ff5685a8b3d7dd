"""Small trees to deploy, and a connection whose process is killed."""

from __future__ import annotations

from typing import Any

from app.couch.connection import Connection, CouchResponse
from couchapp.tree import Tree

MAP = "(doc) => {\n  emit(doc._id, %s);\n}"
VALIDATOR = (
    "(newDoc) => {\n  if (newDoc.colour !== %s && !newDoc._deleted) {\n    throw({forbidden: 'not %s'});\n  }\n}"
)


def small_tree(value: int = 1, colour: str = "red") -> Tree:
    """Return one database with a view that emits ``value``, and a validator that accepts one ``colour``."""
    return {
        "documents": {
            "listing": {
                "_id": "_design/listing",
                "language": "javascript",
                "views": {"by_id": {"map": MAP % value}},
            },
            "validation": {
                "_id": "_design/validation",
                "language": "javascript",
                "validate_doc_update": VALIDATOR % (f'"{colour}"', colour),
            },
        }
    }


class Killed(BaseException):
    """Stands for the end of the process: the code under test cannot handle it."""


class KilledConnection(Connection):
    """A connection whose process is killed before request number ``last``, counted from 0."""

    def __init__(self, url: str, last: int) -> None:
        super().__init__(url, timeout=30)
        self._requests_left = last

    def request(self, *args: Any, **kwargs: Any) -> CouchResponse:
        if self._requests_left == 0:
            raise Killed
        self._requests_left -= 1
        return super().request(*args, **kwargs)
