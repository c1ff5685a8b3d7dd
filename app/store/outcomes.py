"""The outcomes of documents that were written in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any


class DocumentFailure(Enum):
    """Why there is no new revision. After UNKNOWN the document may be stored all the same."""

    CONFLICT = "conflict"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


# The errors of documents that CouchDB certainly did not store; its validators throw the last two.
REFUSALS = {
    "conflict": DocumentFailure.CONFLICT,
    "forbidden": DocumentFailure.FORBIDDEN,
    "unauthorized": DocumentFailure.FORBIDDEN,
}

Outcome = str | DocumentFailure


def outcomes(doc_ids: Sequence[str], results: Iterable[Mapping[str, Any]]) -> dict[str, Outcome]:
    """Return by `_id` the new revision of each document, or the reason why there is none.

    PouchDB Server returns ``results`` in another order than the documents, so they are matched by `_id`. A document
    without a result is UNKNOWN.
    """
    by_id = {result.get("id"): _outcome(result) for result in results}
    return {doc_id: by_id.get(doc_id, DocumentFailure.UNKNOWN) for doc_id in doc_ids}


def _outcome(result: Mapping[str, Any]) -> Outcome:
    """Return the outcome in one result; "accepted" marks documents that fewer nodes than a quorum have stored."""
    if "error" in result:
        return REFUSALS.get(result["error"], DocumentFailure.UNKNOWN)
    if "rev" not in result or result.get("accepted"):
        return DocumentFailure.UNKNOWN
    return str(result["rev"])
