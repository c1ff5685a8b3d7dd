"""Names requests to CouchDB and their outcomes, in few words, for the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.couch.connection import AnswerLost, Cancelled, DatabaseError, Refused

# Receives the kind of a request, its outcome, and the seconds until its answer was read.
Observe = Callable[[str, str, float], object]

# Every kind and every outcome; docs/operations.md explains them.
KINDS = (
    "get",
    "put",
    "view",
    "all_docs",
    "bulk_get",
    "bulk_docs",
    "changes",
    "feed",
    "local",
    "info",
    "other",
)
OUTCOMES = ("ok", "absent", "conflict", "refused", "timeout", "lost", "unavailable", "cancelled")


def unobserved(_kind: str, _outcome: str, _seconds: float) -> None:
    """Ignore a request."""


def kind_of(method: str, path: tuple[str, ...], params: Mapping[str, Any]) -> str:
    """Return the kind of a request to a database: one of KINDS."""
    first = path[0] if path else "_info"
    if not first.startswith("_"):
        return "get" if method == "GET" else "put"
    if first == "_changes" and "feed" in params:
        return "feed"
    name = "view" if first == "_design" else first.removeprefix("_")
    return name if name in KINDS else "other"


def outcome_of(failure: DatabaseError) -> str:
    """Return the outcome of a request that failed: one of OUTCOMES, for a document that is not there as well."""
    match failure:
        case Cancelled():
            return "cancelled"
        case AnswerLost():
            return "timeout" if isinstance(failure.__cause__, TimeoutError) else "lost"
        case Refused(status=404):
            return "absent"
        case Refused(status=409):
            return "conflict"
        case Refused(status=status) if status < 500:
            return "refused"
        case _:
            return "unavailable"
