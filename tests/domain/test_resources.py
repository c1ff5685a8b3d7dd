"""Rendered items against the schemas that describe them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.resources import DOCUMENT, PROJECT, RenderedItem, ResourceType, updated_at
from app.schemas.documents import DocumentSchema
from app.schemas.projects import ProjectSchema
from app.store.items import StoredItem

pytestmark = pytest.mark.nodatabase

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(st.sampled_from(["title", "content", "name", "description"]), texts), st.integers(1, 2**53 - 1))
def test_a_body_matches_the_schema(members: dict[str, str], number: int) -> None:
    kinds: list[tuple[ResourceType, Any]] = [(DOCUMENT, DocumentSchema()), (PROJECT, ProjectSchema())]
    for kind, schema in kinds:
        fields = {**members, "id": number, "project_id": number, "created_at": "then"}
        body = json.loads(RenderedItem.of(kind, StoredItem(kind.doc_id(number), "1-a", fields)).body)
        assert body == schema.dump(fields)
        assert list(body) == list(schema.dump(fields))


@pytest.mark.parametrize(
    "text",
    [f"2026-01-31T12:00:00{fraction}Z" for fraction in ("", ".9", ".123", ".123456", ".1234567", ".123456789012345")]
    + ["2026-01-31T12:00:00", "2026-01-31T14:30:00.5+02:30", "2026-01-31 12:00:00Z"],
)
def test_the_time_of_an_update_may_have_any_number_of_digits(text: str) -> None:
    assert updated_at({"updated_at": text}) == 1769860800


UNUSABLE: list[Any] = [None, 0, "", "then", "2026-13-01", [], {}]


@pytest.mark.parametrize("fields", [{}, *({"updated_at": value} for value in UNUSABLE)])
def test_an_unusable_time_of_an_update_is_none(fields: dict[str, object]) -> None:
    assert updated_at(fields) is None
