"""Plain schemas load an object as marshmallow would, and leave the faults to it."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError
from marshmallow import missing as absent

from app.schemas.batches import OperationSchema
from app.schemas.documents import DocumentPatchSchema, NewDocumentSchema
from app.schemas.plain import PlainSchema
from app.schemas.projects import NewProjectSchema, ProjectPatchSchema
from app.store.items import MAX_ID

pytestmark = pytest.mark.nodatabase

SCHEMAS = [NewDocumentSchema(), DocumentPatchSchema(), NewProjectSchema(), ProjectPatchSchema(), OperationSchema()]
VALUES = [
    "",
    "x",
    "x" * 300,
    "x" * 301,
    "\U0001f600" * 300,
    0,
    1,
    MAX_ID,
    MAX_ID + 1,
    True,
    1.0,
    None,
    [],
    {},
    {"a": 1},
]
COMMON: dict[str, Any] = {"title": "t", "name": "n", "op": "create"}


def result(load: Any, value: object, unknown: str) -> tuple[object, object]:
    """Return the members that ``load`` returns, in their order, or its messages."""
    try:
        loaded = load(value, unknown=unknown)
    except ValidationError as error:
        return None, error.messages
    return list(loaded.items()), None


@pytest.mark.parametrize("unknown", [RAISE, EXCLUDE])
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
def test_a_plain_schema_loads_an_object_as_marshmallow_does(schema: PlainSchema, unknown: str) -> None:
    required = {name: value for name, value in COMMON.items() if name in schema.load_fields}
    objects: list[object] = [{}, [], None, "x", required, {**required, "unknown": 1}]
    for name in schema.load_fields:
        objects += [{name: value, **required} for value in VALUES] + [{**required, name: value} for value in VALUES]
    for value in objects:
        assert result(schema.load, value, unknown) == result(super(PlainSchema, schema).load, value, unknown), value


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
def test_a_plain_schema_has_no_defaults_and_no_renamed_members(schema: PlainSchema) -> None:
    for field in schema.load_fields.values():
        assert (field.load_default, field.data_key, field.attribute) == (absent, None, None)


def test_marshmallow_does_not_look_at_a_valid_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Schema, "load")
    body = {"project_id": 1, "content": "c", "title": "t"}
    assert list(NewDocumentSchema().load(body)) == ["title", "content", "project_id"]
    with pytest.raises(AttributeError):
        NewDocumentSchema().load({**body, "title": ""})
