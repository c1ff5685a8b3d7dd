"""Versions are written once, and their reads skip forgotten items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.couch.connection import Connection
from app.errors import Unavailable
from app.store import Store
from app.store import versions as versions_module
from app.store.items import MAX_ID
from app.store.version import Version, revision_of, version_id
from app.store.versions import StoredPage, VersionStore
from couchapp import tree
from tests.replication import revision

ID, OTHER = "document:0000000000000007", "document:0000000000000008"
TIME = "2026-01-31T12:00:00.123456Z"


def version(generation: int, *parents: str, doc_id: str = ID, title: str = "A", nonce: str = "a" * 32) -> Version:
    """Return a version with a parent of the generation below, unless ``parents`` are given."""
    below = parents or ((revision(generation - 1, "a"),) if generation > 1 else ())
    return Version(doc_id, revision(generation, "a"), {"title": title}, TIME, TIME, "p-1", below, nonce)


def lost(generation: int) -> Version:
    return Version(ID, revision(generation, "a"), parents=(revision(generation - 1, "a"),))


@pytest.fixture
def store(server_url: str, prefix: str) -> Iterator[Store]:
    """An installation that has only a `-history`."""
    connection = Connection(server_url, timeout=30)
    connection.put(f"{prefix}-history")
    connection.put(f"{prefix}-history", "_design", "validation", body=tree.load()["history"]["validation"])
    connection.close()
    store = Store(server_url, prefix)
    yield store
    store.close()


@pytest.fixture
def versions(store: Store) -> VersionStore:
    return store.versions


@pytest.mark.nodatabase
def test_a_document_is_read_as_it_was_written() -> None:
    whole = version(12, revision(11, "a"), revision(9, "b"))
    for each in (whole, replace(whole, is_deleted=True, members={"project_id": 3}), lost(3), Version(ID, "1-ab", {})):
        assert Version.of(each.document()) == each


@pytest.mark.nodatabase
def test_the_members_of_a_document_have_one_order() -> None:
    assert list(version(2).document()) == [
        "_id", "type", "item", "id", "value", "created_at", "updated_at", "updated_by", "parents", "nonce",
    ]  # fmt: skip
    assert version(2).document()["_id"] == f"version:{ID}:0000000002-{'a' * 32}"
    assert list(lost(2).document()) == ["_id", "type", "item", "id", "parents", "lost"]


@pytest.mark.nodatabase
def test_ids_sort_like_generations() -> None:
    revisions = [f"{generation}-{'a' * 32}" for generation in (1, 2, 9, 10, 11, 99, 100, 9_999_999_999)]
    ids = [version_id(ID, each) for each in revisions]
    assert ids == sorted(ids)
    assert [revision_of(each) for each in ids] == revisions
    assert version_id(f"document:{MAX_ID:016d}", revisions[0]).split(":")[1:3] == ["document", str(MAX_ID)]


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("parent", "principal"),
    [
        (version(1, title="B"), None),
        (version(1, title="B", nonce="b" * 32), "p-1"),
        (version(1), "p-1"),
        (replace(version(1), is_deleted=True), None),
        (lost(1), "p-1"),
        (None, "p-1"),
    ],
    ids=["edited in Fauxton", "edited", "proven", "revived in Fauxton", "parent lost", "parent unknown"],
)
def test_a_version_without_a_nonce_of_its_own_has_no_principal(parent: Version | None, principal: str | None) -> None:
    assert version(2).attributed(parent).updated_by == principal
    assert replace(version(2), nonce=None).attributed(parent).updated_by is None


def test_versions_are_found_by_revision(versions: VersionStore) -> None:
    assert len(versions.write([version(1), version(2), lost(3), version(1, doc_id=OTHER)])) == 4
    assert versions.find(ID, [revision(1, "a"), revision(3, "a"), revision(4, "a")]) == {
        revision(1, "a"): version(1),
        revision(3, "a"): lost(3),
    }


def test_a_version_is_written_once(versions: VersionStore) -> None:
    assert len(versions.write([version(1)])) == 1
    assert len(versions.write([version(1), version(2), version(2)])) == 1
    assert versions.missing([(ID, revision(number, "a")) for number in (1, 2, 3)]) == [(ID, revision(3, "a"))]


def test_two_writers_write_the_same(versions: VersionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    versions.write([version(1)])
    monkeypatch.setattr(VersionStore, "_taken", lambda *_: set())
    assert len(versions.write([version(1), version(2)])) == 1


def test_a_deleted_version_is_not_written_again(store: Store, versions: VersionStore) -> None:
    versions.write([version(1), version(2)])
    assert versions.delete(store["history"].ids("version:", "version;", limit=1)) == 1
    assert versions.missing([(ID, revision(1, "a"))]) == []
    assert len(versions.write([version(1)])) == 0
    assert versions.page(ID, None, 10).versions == (version(2),)


def test_a_version_replaces_the_same_one_as_lost(versions: VersionStore) -> None:
    """Another region has captured it before it was compacted there."""
    versions.write([lost(2)])
    assert versions.missing([(ID, revision(2, "a"))]) == []
    assert versions.page(ID, None, 10).versions == (lost(2),)
    versions.write([version(2), version(1)])
    assert versions.find(ID, [revision(2, "a")]) == {revision(2, "a"): version(2)}
    assert versions.page(ID, None, 10).versions == (version(2), version(1))


def test_pages_are_newest_first(versions: VersionStore) -> None:
    stored = [version(number, title=str(number), nonce=f"{number:032}") for number in range(1, 13)]
    versions.write([*stored, lost(12), lost(5), version(1, doc_id=OTHER)])
    pages: list[StoredPage] = []
    before = None
    while not pages or not pages[-1].is_last:
        pages.append(versions.page(ID, before, 5))
        before = pages[-1].versions[-1].revision
    assert [len(page.versions) for page in pages] == [5, 5, 2]
    assert [each for page in pages for each in page.versions] == stored[::-1]
    assert versions.page(ID, revision(1, "a"), 5) == ((), True)


def test_a_page_of_large_versions_is_short(versions: VersionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions_module, "MAX_READ_CHARACTERS", 200)
    stored = [version(number, title="x" * 70, nonce=f"{number:032}") for number in range(1, 8)]
    versions.write(stored)
    assert versions.page(ID, None, 7) == (tuple(stored[:3:-1]), False)


def test_a_page_shows_which_versions_the_api_did_not_write(versions: VersionStore) -> None:
    versions.write([version(1, title="A"), version(2, title="B"), version(3, title="B"), version(4, nonce="b" * 32)])
    principals = ["p-1", "p-1", None, "p-1"]
    assert [each.updated_by for each in versions.page(ID, None, 4).versions] == principals
    assert [
        versions.page(ID, revision(number + 1, "a"), 1).versions[0].updated_by for number in (4, 3, 2, 1)
    ] == principals
    read = versions.read(ID, revision(2, "a"))
    assert read is not None
    assert read.updated_by is None
    assert versions.read(ID, revision(5, "a")) is None


def test_a_forgotten_item_has_no_versions(
    store: Store, versions: VersionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "document:0000000000000009"
    monkeypatch.setattr(versions_module, "IDS_PER_REQUEST", 2)
    versions.write([replace(version(number), doc_id=one) for number in range(1, 6)])
    versions.write([version(1)])
    for _ in range(2):
        versions.forget(one)
    assert versions.forgotten([one, ID]) == {one}
    assert store["history"].ids(f"version:{one}", f"version:{one};", limit=10) == []
    assert len(versions.write([replace(version(6), doc_id=one), version(2)])) == 1
    # Replication brings a version that another region captured before it knew of the mark.
    store["history"].create(replace(version(7), doc_id=one).document())
    assert versions.find(one, [revision(7, "a")]) == {}
    assert versions.page(one, None, 10) == ((), True)


def test_a_refused_version_does_not_stop_the_others(versions: VersionStore, caplog: pytest.LogCaptureFixture) -> None:
    assert len(versions.write([replace(version(1), members={"unknown": 1}), version(2)])) == 1
    assert "refused versions" in caplog.text


def test_large_versions_are_written_in_several_requests(versions: VersionStore) -> None:
    stored = [
        replace(version(number), members={"title": "A", "content": "\u00e9" * 1_500_000}) for number in range(1, 5)
    ]
    assert len(versions.write(stored)) == 4


def test_a_missing_database_is_unavailable(server_url: str, prefix: str) -> None:
    store = Store(server_url, f"{prefix}-absent")
    for call in (lambda: store.versions.write([version(1)]), lambda: store.versions.page(ID, None, 1)):
        with pytest.raises(Unavailable):
            call()
    store.close()
