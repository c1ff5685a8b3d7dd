"""The rows of the feed that a key sees, and the removals of documents that left its limits."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from app.domain.access import Access, Reach
from app.domain.changes.visibility import Shown, View, visible
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase

SINCE = "2026-01-31T12:00:00.000000Z"
BEFORE, WITHIN, AFTER = (f"2026-01-31T{time}.000000Z" for time in ("11:59:49", "11:59:51", "12:00:01"))
HOME, AWAY, OTHER = 10, 11, 12


def view(projects: set[int] | None = None, documents: set[int] | None = None, project_id: int | None = None) -> View:
    """Return the view of a key; without limits, of an unlimited one."""
    is_limited = projects is not None or documents is not None
    reach = Reach(frozenset(projects or ()), frozenset(documents or ())) if is_limited else None
    return View(Access(1, "ada", frozenset(), reach=reach), project_id)


EVERYTHING, AT_HOME, ONLY_3, ONLY_4 = view(), view({HOME}), view(documents={3}), view(documents={4})
FILTERED = view(project_id=HOME)


def document(project_id: int | None = None, *, is_deleted: bool = False, at: str = AFTER, **fields: Any) -> StoredItem:
    """Return document 3 in its fifth revision."""
    project = {} if project_id is None else {"project_id": project_id}
    fields = {"id": 3, "title": "A", "updated_at": at, **project, **fields}
    return StoredItem("document:0000000000000003", "5-abc", fields, is_deleted)


def left(*entries: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [dict(zip(("project", "generation", "at"), entry, strict=True)) for entry in entries]


def shown(item: StoredItem, to: View, resource_type: ResourceType = DOCUMENT, **changes: Any) -> Shown | None:
    return visible(resource_type, item, to, **{"since": SINCE, "secret": "s", "with_value": True, **changes})


@pytest.mark.parametrize("to", [EVERYTHING, AT_HOME, ONLY_3, FILTERED, view({HOME}, {4}), view({AWAY}, {3})])
def test_a_document_in_view_is_a_change(to: View) -> None:
    change = shown(document(HOME), to)
    value = b'{"id":3,"title":"A","project_id":10}'
    assert change == Shown(DOCUMENT, 3, "5-abc", value=value)


@pytest.mark.parametrize("to", [EVERYTHING, AT_HOME, ONLY_3, FILTERED])
def test_a_tombstone_in_view_is_a_deletion_with_its_revision(to: View) -> None:
    assert shown(document(HOME, is_deleted=True), to) == Shown(DOCUMENT, 3, "5-abc", is_deleted=True)


@pytest.mark.parametrize(
    ("to", "item"),
    [*product((AT_HOME, ONLY_4, FILTERED), (document(AWAY), document(), document(AWAY, is_deleted=True)))],
)
def test_a_document_that_was_never_in_view_is_hidden(to: View, item: StoredItem) -> None:
    assert shown(item, to) is None


def test_the_value_is_only_read_where_it_is_wanted() -> None:
    assert shown(document(HOME), EVERYTHING, with_value=False) == Shown(DOCUMENT, 3, "5-abc")


@pytest.mark.parametrize("is_deleted", [False, True])
@pytest.mark.parametrize("to", [AT_HOME, FILTERED, view({HOME}, {4})])
@pytest.mark.parametrize("project_id", [AWAY, None])
def test_a_document_that_left_the_view_is_removed(to: View, project_id: int | None, is_deleted: bool) -> None:
    item = document(project_id, is_deleted=is_deleted, left=left((HOME, 4, AFTER)))
    removal = shown(item, to)
    assert removal is not None
    assert (removal.is_deleted, removal.value, removal.public_id) == (True, None, 3)
    assert removal.tag != item.revision


def test_a_document_limit_follows_the_document_everywhere() -> None:
    change = shown(document(AWAY, left=left((HOME, 4, AFTER))), view({HOME}, {3}))
    assert change is not None
    assert not change.is_deleted


def test_a_document_that_came_back_is_a_change() -> None:
    change = shown(document(HOME, left=left((HOME, 3, AFTER))), AT_HOME)
    assert change is not None
    assert not change.is_deleted


def test_a_departure_from_elsewhere_is_hidden() -> None:
    assert shown(document(AWAY, left=left((OTHER, 4, AFTER))), AT_HOME) is None


@pytest.mark.parametrize(("at", "is_shown"), [(BEFORE, False), (WITHIN, True), (AFTER, True)])
def test_a_departure_that_the_client_knows_is_hidden(at: str, is_shown: bool) -> None:
    assert (shown(document(AWAY, left=left((HOME, 4, at))), AT_HOME) is not None) == is_shown


def test_a_revision_that_came_late_shows_old_departures() -> None:
    """It was replicated, or the feed has gone back, so that the client may not know them."""
    assert shown(document(AWAY, at=BEFORE, left=left((HOME, 4, BEFORE))), AT_HOME) is not None


def test_the_tag_of_a_removal_stays_the_same_until_the_next_departure() -> None:
    def tag(item: StoredItem, secret: str = "s") -> str:
        removal = shown(item, AT_HOME, secret=secret)
        assert removal is not None
        return removal.tag

    first = tag(document(AWAY, left=left((HOME, 4, AFTER))))
    assert first == tag(document(None, is_deleted=True, left=left((HOME, 4, AFTER), (AWAY, 5, AFTER))))
    assert first != tag(document(AWAY, left=left((HOME, 9, AFTER))))
    assert first != tag(document(AWAY, left=left((HOME, 4, AFTER))), secret="t")


def test_the_latest_of_several_departures_is_reported() -> None:
    both, one = view({HOME, OTHER}), document(AWAY, left=left((HOME, 4, AFTER), (OTHER, 2, AFTER)))
    assert shown(one, both) == shown(document(AWAY, left=left((HOME, 4, AFTER))), both)


@pytest.mark.parametrize(
    ("to", "is_shown"),
    [(EVERYTHING, True), (AT_HOME, True), (FILTERED, True), (view({AWAY}), False), (ONLY_3, False)],
)
@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_project_is_in_view_by_its_id(to: View, is_shown: bool, is_deleted: bool) -> None:
    project = StoredItem("project:0000000000000010", "2-a", {"id": HOME, "name": "P"}, is_deleted)
    assert (shown(project, to, PROJECT) is not None) == is_shown


def test_a_bare_tombstone_is_seen_by_keys_that_see_its_id() -> None:
    bare = StoredItem("document:0000000000000003", "5-abc", {}, is_deleted=True)
    assert shown(bare, EVERYTHING) == shown(bare, ONLY_3) == Shown(DOCUMENT, 3, "5-abc", is_deleted=True)
    assert shown(bare, AT_HOME) is None
