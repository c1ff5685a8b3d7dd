"""What became of documents since a moment, read in few requests and as far as it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.couch.connection import Connection
from app.errors import Conflict
from app.store import Database, Store
from app.store.items import Change, StoredItem
from app.store.revision_history import created, histories, made
from app.store.write_id import undoing

MINE, OTHER = "a" * 32, "b" * 32
BEGIN = "2026-01-01T00:01:00.000000Z"


@pytest.fixture
def documents(server_url: str, prefix: str) -> Iterator[Database]:
    """An empty database."""
    connection = Connection(server_url)
    connection.put(f"{prefix}-documents")
    connection.close()
    store = Store(server_url, prefix)
    yield store["documents"]
    store.close()


class Counting:
    """A database that counts what is asked of it, and keeps the bodies of revisions from ``oldest`` on."""

    def __init__(self, documents: Database, oldest: int = 1) -> None:
        self._database, self._oldest = documents, oldest
        self.leaves, self.asked = documents.leaves, 0

    def revisions(self, wanted: list[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return what is kept."""
        self.asked += 1
        found = self._database.revisions(wanted)
        return [document for document in found if int(document["_rev"].partition("-")[0]) >= self._oldest]


def write(documents: Database, doc_id: str, count: int) -> list[str]:
    """Write so many revisions of a document, ten a minute; return them, the latest first."""
    found: list[str] = []
    for number in range(count):
        time = f"2026-01-01T00:{number // 10:02}:{6 * (number % 10):02}.000000Z"
        head = {"_id": doc_id, **({"_rev": found[0]} if found else {})}
        found.insert(0, documents.replace({**head, "updated_at": time}))
    return found


def test_many_revisions_take_few_requests(documents: Database) -> None:
    long, short = write(documents, "long", 100), write(documents, "short", 1)
    counting = Counting(documents)
    found = histories(counting, ["long", "short", "never"], "2026-01-01T00:00:00.000000Z")  # type: ignore[arg-type]
    assert [item.revision for item in found["long"]] == long
    assert [item.revision for item in found["short"]] == short
    assert "never" not in found
    # 1, 2, 4, 8, 16 and 32 are 63, and the rest fits into two more.
    assert counting.asked == 8


def test_one_more_than_what_is_young_enough_is_read(documents: Database) -> None:
    revisions = write(documents, "a", 14)
    found = histories(documents, ["a"], BEGIN)["a"]
    assert [item.revision for item in found][:5] == revisions[:5]
    assert found[4].fields["updated_at"] < BEGIN <= found[3].fields["updated_at"]


def test_what_was_compacted_away_ends_it(documents: Database) -> None:
    revisions = write(documents, "a", 20)
    found = histories(Counting(documents, oldest=18), ["a"], "2026-01-01T00:00:00.000000Z")["a"]  # type: ignore[arg-type]
    assert [item.revision for item in found] == revisions[:3]


def item(generation: int, nonce: str | None, **fields: Any) -> StoredItem:
    """Return a revision."""
    return StoredItem(f"{generation}-x", {"nonce": nonce, **fields})


def test_a_proof_stands_for_what_it_proves() -> None:
    history = [item(4, OTHER), item(3, MINE), item(2, MINE), item(1, OTHER)]
    assert made(history, MINE) == Change(history[3], history[1])


def test_what_was_undone_is_not_done() -> None:
    history = [item(3, undoing(MINE)), item(2, MINE), item(1, OTHER)]
    assert made(history, MINE) is None
    again = [item(4, MINE), *history]
    assert made(again, MINE) == Change(history[0], again[0])


def test_what_is_not_known_to_have_moved_has_not() -> None:
    history = [item(5, OTHER), item(4, MINE, project_id=7)]
    assert made(history, MINE) == Change(history[1], history[1])


def test_a_creation_is_the_first_of_all() -> None:
    first = [item(2, MINE), item(1, MINE)]
    assert created(first, MINE) == Change(None, first[0])
    assert created([item(2, MINE)], MINE) == Change(None, item(2, MINE))
    # It came to life over a tombstone.
    assert created([item(4, None), item(3, MINE), item(2, None), item(1, OTHER)], MINE) is None
    # It did so only after others had deleted what it had made.
    again = [item(4, None), item(3, MINE), item(2, None), item(1, MINE)]
    assert created(again, MINE) == Change(None, again[1])
    undone = [item(2, undoing(MINE)), item(1, MINE)]
    for history in (undone, [item(4, None), item(3, MINE), *undone]):
        with pytest.raises(Conflict):
            created(history, MINE)
