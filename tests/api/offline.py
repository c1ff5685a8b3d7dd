"""Batches of clients that worked offline."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Answer, Caller


def send(caller: Caller, *operations: dict[str, Any], kind: str = "documents", **members: Any) -> list[dict[str, Any]]:
    """Send a batch and return its outcomes; ``members`` stand beside the operations."""
    members = {name.rstrip("_"): value for name, value in members.items()}
    return outcomes(caller.post(f"/{kind}/batch", {"operations": list(operations), **members}))


def outcomes(answer: Answer) -> list[dict[str, Any]]:
    """Return the outcomes of a batch."""
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json["outcomes"]
    return results


def current(caller: Caller, path: str) -> dict[str, Any]:
    """Return an item as outcomes show it."""
    answer = caller.get(path)
    return {"etag": answer.headers["ETag"], "value": answer.json}
