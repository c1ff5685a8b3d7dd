"""What became of each of many documents that were written in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any


class DocumentFailure(Enum):
    """Why there is no new revision. After UNKNOWN the document may be stored all the same."""

    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


# What CouchDB says of a document that it certainly did not store; its validators throw the last two.
CERTAIN = {
    "conflict": DocumentFailure.CONFLICT,
    "forbidden": DocumentFailure.FORBIDDEN,
    "unauthorized": DocumentFailure.FORBIDDEN,
}

Outcome = str | DocumentFailure


def outcomes(doc_ids: Sequence[str], results: Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
    """Return by `_id` the new revision of each document, or why there is none.

    PouchDB Server gives ``results`` in another order than it was given the documents, so each is known by the `_id`
    in it; a document that none of them names is UNKNOWN.
    """
    found = {result.get("id"): _outcome(result) for result in results}
    return {doc_id: found.get(doc_id, DocumentFailure.UNKNOWN) for doc_id in doc_ids}


def _outcome(result: Mapping[str, Any]) -> Outcome:
    """Return what one result says; "accepted" marks what fewer nodes than a quorum have stored."""
    if "error" in result:
        return CERTAIN.get(result["error"], DocumentFailure.UNKNOWN)
    if "rev" not in result or result.get("accepted"):
        return DocumentFailure.UNKNOWN
    return str(result["rev"])
