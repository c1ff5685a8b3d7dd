"""Concurrent single writes through the application share a request, and each gets its own answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from app.domain.resources import DOCUMENT
from app.store import Database, group_commit
from tests.api.conftest import Answer, Caller, of_items

LIMIT = 60
OTHERS = 7


class Held:
    """Replace Database: hold the first single write, and record the ones that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
        self.begun, self.go = Event(), Event()
        # Each later write goes alone, or waits for the next group.
        self.ways: SimpleQueue[str] = SimpleQueue()
        self.groups: list[list[str]] = []
        single, write_many, receive = getattr(Database, method), Database.write_many, group_commit._Writer.receive

        def write_one(database: Database, document: dict[str, Any]) -> Any:
            if document["type"] == "document":
                if self.begun.is_set():
                    self.ways.put("alone")
                self.begun.set()
                assert self.go.wait(LIMIT)
            return single(database, document)

        def wait(caller: group_commit._Writer, *patience: float) -> Any:
            self.ways.put("waiting")
            return receive(caller, *patience)

        def write_group(database: Database, documents: list[dict[str, Any]]) -> Any:
            self.groups.append([document["_id"] for document in documents])
            return write_many(database, documents)

        monkeypatch.setattr(group_commit, "MAX_WAIT_SECONDS", float(LIMIT))
        monkeypatch.setattr(group_commit._Writer, "receive", wait)
        monkeypatch.setattr(Database, method, write_one)
        monkeypatch.setattr(Database, "write_many", of_items(write_group))

    def answers(self, ask: Callable[[int], Answer]) -> list[Answer]:
        """Return the answers to requests sent while the first write is in flight."""
        with ThreadPoolExecutor(1 + OTHERS) as pool:
            try:
                answers = [pool.submit(ask, 0)]
                assert self.begun.wait(LIMIT)
                answers += [pool.submit(ask, number) for number in range(1, 1 + OTHERS)]
                assert [self.ways.get(timeout=LIMIT) for _ in range(OTHERS)] == ["waiting"] * OTHERS
            finally:
                self.go.set()
            return [one.result(LIMIT) for one in answers]


def check(ada: Caller, held: Held, answers: list[Answer]) -> None:
    """Check that all but the first shared a request, and that each answer is for its own document."""
    ids = [answer.json["id"] for answer in answers]
    assert len(set(ids)) == 1 + OTHERS
    assert [sorted(group) for group in held.groups] == [sorted(map(DOCUMENT.doc_id, ids[1:]))]
    for number, answer in enumerate(answers):
        item = ada.get(f"/documents/{answer.json['id']}")
        assert (item.json["title"], item.headers["ETag"]) == (f"of {number}", answer.headers["ETag"])


def test_concurrent_creates_share_a_request(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(monkeypatch, "create")
    answers = held.answers(lambda number: ada.post("/documents", {"title": f"of {number}"}))
    monkeypatch.undo()
    assert [answer.status_code for answer in answers] == [201] * (1 + OTHERS)
    check(ada, held, answers)
    assert all(answer.headers["Location"].endswith(f"/documents/{answer.json['id']}") for answer in answers)


def test_concurrent_changes_share_a_request(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [f"/documents/{ada.new_document()['id']}" for _ in range(1 + OTHERS)]
    held = Held(monkeypatch, "replace")
    answers = held.answers(lambda number: ada.request("PATCH", paths[number], json={"title": f"of {number}"}))
    monkeypatch.undo()
    assert [answer.status_code for answer in answers] == [200] * (1 + OTHERS)
    check(ada, held, answers)
