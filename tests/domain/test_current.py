"""What is kept of documents that were read, and for how long it is served."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.current import OVERHEAD, Current
from app.domain.resource_types import DOCUMENT, PROJECT, Kind
from app.schemas.documents import DocumentSchema
from app.schemas.projects import ProjectSchema
from app.store import Freshness, Versions

pytestmark = pytest.mark.nodatabase


def stored(public_id: int, revision: str = "1-a", **members: Any) -> dict[str, Any]:
    head = {"_id": DOCUMENT.key(public_id), "_rev": revision, "type": "document", "id": public_id}
    return {**head, "title": "T", **members, "created_at": "then", "nonce": "n"}


@pytest.fixture
def freshness() -> Freshness:
    found = Freshness(Versions())
    found.caught_up()
    return found


def current_of(freshness: Freshness, most_bytes: int = 2**20) -> Current:
    return Current(DOCUMENT, freshness, lambda: None, most_bytes)


def test_what_was_read_is_served_until_it_changes(freshness: Freshness) -> None:
    current = current_of(freshness)
    shown = current.keep(stored(1, project_id=7), current.mark(1))
    assert (shown.public_id, shown.revision, shown.project_id) == (1, "1-a", 7)
    assert current.get(1) == shown
    freshness.changed([DOCUMENT.key(2)])
    assert current.get(1) == shown
    freshness.changed([DOCUMENT.key(1)])
    assert current.get(1) is None
    assert current.at(1, "1-a") == shown
    assert current.at(1, "2-b") is None


def test_what_was_read_without_a_mark_is_known_by_its_revision_alone(freshness: Freshness) -> None:
    current = current_of(freshness)
    shown = current.keep(stored(1), None)
    assert current.get(1) is None
    assert current.at(1, "1-a") == shown


def test_the_follower_is_asked_for_before_anything_is_read(freshness: Freshness) -> None:
    asked: list[None] = []
    current = Current(DOCUMENT, freshness, lambda: asked.append(None), 100)
    assert current.get(1) is None
    assert not asked
    current.mark(1)
    current.mark()
    assert len(asked) == 2


def test_it_keeps_what_was_last_asked_for_within_its_bytes(freshness: Freshness) -> None:
    size = len(DOCUMENT.body(stored(1))) + OVERHEAD
    current = current_of(freshness, 3 * size)
    for number in (1, 2, 3):
        current.keep(stored(number), current.mark(number))
    assert current.bytes == 3 * size
    assert current.get(1)
    current.keep(stored(4), current.mark(4))
    assert [number for number in (1, 2, 3, 4) if current.get(number)] == [1, 3, 4]
    current.keep(stored(3, "2-b"), current.mark(3))
    assert current.bytes == 3 * size
    large = current.keep(stored(5, content="x" * 3 * size), current.mark(5))
    assert large.body == DOCUMENT.body(stored(5, content="x" * 3 * size))
    assert current.get(5) is None
    assert current.get(4)


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.sampled_from(["title", "content", "name", "description"]), texts), st.integers(1, 2**53 - 1))
def test_a_body_is_what_the_schema_says(members: dict[str, str], number: int) -> None:
    kinds: list[tuple[Kind, Any]] = [(DOCUMENT, DocumentSchema()), (PROJECT, ProjectSchema())]
    for kind, schema in kinds:
        fields = {**members, "id": number, "project_id": number, "created_at": "then", "_rev": "1-a"}
        shown = json.loads(kind.body(fields))
        assert shown == schema.dump(fields)
        assert list(shown) == list(schema.dump(fields))
