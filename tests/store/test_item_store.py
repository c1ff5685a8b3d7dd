"""A write that is repeated after a crash is carried out once, even if the first run's write arrives late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.errors import NotFound, OutcomeUnknown, ServiceError
from app.store import Database, confirmed_writes
from app.store.item_store import ItemStore
from app.store.items import Change, Fields, StoredItem, Update, WriteId
from tests.replication import replicate, revision
from tests.store.losing import Losing

BEFORE, SINCE, AFTER = (f"2026-01-01T00:0{minute}" for minute in range(3))


class Refused(ServiceError):
    """The domain refuses the write."""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmed_writes, "MAX_PAUSE_SECONDS", 0.0)


def adding(item: StoredItem | None) -> Fields:
    """Count up, so that a second time shows."""
    return {"n": (item.fields["n"] if item else 0) + 1, "updated_at": AFTER}


def resumed(write_id: WriteId) -> WriteId:
    return replace(write_id, since=SINCE)


@pytest.fixture(params=["create", "update"])
def first(request: pytest.FixtureRequest, documents: Database) -> Update:
    """The write of a first run."""
    if request.param == "update":
        documents.create({"_id": "a", "n": 0, "updated_at": BEFORE})
    return Update("a", adding, WriteId())


def carry_out(store: ItemStore, update: Update, *, many: bool = False) -> StoredItem:
    """Carry out a write, by itself or among many."""
    item = store.find("a")
    is_new = item is None or (item.revision.startswith("1-") and item.nonce is not None)
    if many:
        result = store.update_many([update], {"a": None if is_new else item})["a"]
        if isinstance(result, ServiceError):
            raise result
        return result.after
    return store.create(update) if is_new else store.update(update).after


def test_a_write_that_is_done_is_proven_and_not_repeated(documents: Database, first: Update) -> None:
    store = ItemStore(documents)
    change = carry_out(store, first)
    repeated = replace(first, write_id=resumed(first.write_id))
    item = carry_out(store, repeated)
    assert (item.fields["n"], item.revision[0]) == (1, str(int(change.revision[0]) + 1))
    assert store.find("a") == item


def test_a_write_that_others_built_on_is_not_repeated(documents: Database, first: Update) -> None:
    store = ItemStore(documents)
    is_new = store.find("a") is None
    change = carry_out(store, first)
    documents.replace({"_id": "a", "_rev": change.revision, "n": 7, "updated_at": AFTER})
    repeated = replace(first, write_id=resumed(first.write_id))
    assert (store.create(repeated) if is_new else store.update(repeated).after) == change
    assert documents.get_many(["a"])["a"]["n"] == 7


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("refuse", [False, True])
def test_a_write_that_arrives_after_the_first_look_is_not_repeated(
    documents: Database, first: Update, many: bool, refuse: bool
) -> None:
    """It arrives while the repetition composes, which may refuse it by then."""
    store, late = ItemStore(documents), list[Callable[[], StoredItem]]([lambda: carry_out(store, first)])

    def compose(item: StoredItem | None) -> Fields:
        fields = adding(item)
        if late:
            late.pop()()
            if refuse:
                raise Refused
        return fields

    repeated = Update("a", compose, resumed(first.write_id))
    item = carry_out(store, repeated, many=many)
    assert item.fields["n"] == 1
    assert documents.get_many(["a"])["a"]["n"] == 1


def test_a_refusal_stands_if_nothing_has_arrived(documents: Database) -> None:
    documents.create({"_id": "a", "n": 0, "updated_at": BEFORE})

    def refuse(_: StoredItem | None) -> Fields:
        raise Refused

    with pytest.raises(Refused):
        ItemStore(documents).update(Update("a", refuse, WriteId(since=SINCE)))


def test_a_write_is_unknown_if_more_revisions_came_since_than_are_read(documents: Database) -> None:
    revision = documents.create({"_id": "a", "n": 0, "updated_at": BEFORE})
    for _ in range(25):
        revision = documents.replace({"_id": "a", "_rev": revision, "n": 7, "updated_at": AFTER})
    with pytest.raises(OutcomeUnknown):
        ItemStore(documents).update(Update("a", adding, WriteId(since=SINCE)))


def test_an_update_that_loses_races_is_composed_again(documents: Database) -> None:
    documents.create({"_id": "a", "n": 0, "updated_at": BEFORE})
    store = ItemStore(Losing(documents, "superseded", "superseded"))  # type: ignore[arg-type]
    change = store.update(Update("a", adding, WriteId()))
    assert (change.after.fields["n"], change.after.revision[0]) == (1, "4")


def test_an_absent_item_is_for_compose_to_refuse(documents: Database) -> None:
    def refuse(item: StoredItem | None) -> Fields:
        assert item is None
        raise NotFound

    with pytest.raises(NotFound):
        ItemStore(documents).update(Update("a", refuse, WriteId()))


def test_the_finished_ones_of_many_writes_are_proven_together(documents: Database) -> None:
    store, ids = ItemStore(documents), {doc_id: WriteId() for doc_id in "abc"}
    updates = [Update(doc_id, adding, ids[doc_id]) for doc_id in "ab"]
    store.update_many(updates, {})
    database = Losing(documents)
    results = ItemStore(database).find_done({doc_id: [resumed(ids[doc_id])] for doc_id in "abc"})  # type: ignore[arg-type]
    revisions = {each.after.doc_id: each.after.revision[0] for each in results.values() if isinstance(each, Change)}
    assert revisions == {"a": "2", "b": "2"}
    assert database.sent == 2


def test_an_item_is_read_with_its_other_live_leaves(server_url: str, documents: Database) -> None:
    first = documents.create({"_id": "a", "n": 0})
    documents.create({"_id": "b", "n": 0})
    leaves = [revision(2, letter) for letter in "edc"]
    branches = [({"_id": "a", "n": n}, (leaf, first)) for n, leaf in enumerate(leaves)]
    replicate(server_url, documents.name, *branches, ({"_id": "a", "_deleted": True}, (revision(3, "f"), first)))
    store = ItemStore(documents)
    items = [store.find("a"), store.find_many(["a"])["a"]]
    assert [item and (item.revision, sorted(item.conflicts)) for item in items] == [(leaves[0], sorted(leaves[1:]))] * 2
    assert [item and item.fields for item in items] == [{"n": 0}] * 2
    unconflicted = [store.find("b"), store.find_many(["b"])["b"]]
    assert [item and item.conflicts for item in unconflicted] == [()] * 2


def test_an_item_keeps_its_other_live_leaves_when_it_is_updated(server_url: str, documents: Database) -> None:
    first = documents.create({"_id": "a", "n": 0})
    leaves = [revision(2, letter) for letter in "ed"]
    replicate(server_url, documents.name, *(({"_id": "a", "n": 1}, (leaf, first)) for leaf in leaves))
    store = ItemStore(documents)
    after = store.update(Update("a", adding, WriteId())).after
    assert after.conflicts == (leaves[1],)
    assert store.find("a") == after
