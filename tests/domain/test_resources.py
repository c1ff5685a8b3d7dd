"""Rendered items against the schemas that describe them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.resources import DOCUMENT, PROJECT, RenderedItem, ResourceType
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
