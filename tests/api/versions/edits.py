"""Requests that add versions of documents, and restore them."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Answer, Caller

MISSING_TAG = f"7-{'0' * 32}"


def put(caller: Caller, document_id: int, **members: Any) -> str:
    """Replace a document and return its new tag."""
    answer = caller.request("PUT", f"/documents/{document_id}", json=members)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def restore(caller: Caller, path: str, tag: str, **headers: str) -> Answer:
    return caller.request("POST", f"{path}/restore", json={"version": tag}, headers=headers)


def edited(caller: Caller, *titles: str) -> tuple[int, list[str]]:
    """Create a document and give it these titles in turn; return its id and the tags of its versions."""
    answer = caller.post("/documents", {"title": titles[0]})
    tags = [answer.headers["ETag"]]
    tags += [put(caller, answer.json["id"], title=title) for title in titles[1:]]
    return answer.json["id"], tags
