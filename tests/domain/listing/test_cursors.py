"""A cursor is valid unaltered, with its own binding, and in no other way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.listing.cursors import Cursors
from app.errors import InvalidCursor
from app.store.items import MAX_ID

pytestmark = pytest.mark.nodatabase

BINDING = ("p1", "/documents", "asc", None, None)
CURSORS = Cursors(["new secret", "old secret"])


@given(st.integers(0, MAX_ID))
def test_a_cursor_is_read_back(position: int) -> None:
    assert CURSORS.read(CURSORS.write(position, *BINDING), *BINDING) == position


def test_a_cursor_reveals_no_position_and_no_length() -> None:
    cursors = [CURSORS.write(position, *BINDING) for position in (1, 2, MAX_ID, f"{MAX_ID}-{32 * 'f'}")]
    assert len({len(cursor) for cursor in cursors}) == 1
    # With equal positions alone, equal answers stay equal.
    assert CURSORS.write(1, *BINDING) == cursors[0] != cursors[1]
    assert CURSORS.write(1, "p2", *BINDING[1:]) != cursors[0]


def test_a_revision_is_read_back() -> None:
    revision = f"{MAX_ID}-{32 * 'f'}"
    assert CURSORS.read_revision(CURSORS.write(revision, *BINDING), *BINDING) == revision


def test_a_cursor_outlives_the_rotation_of_the_secret() -> None:
    old = Cursors(["old secret"]).write(7, *BINDING)
    assert CURSORS.read(old, *BINDING) == 7


def test_a_cursor_of_a_retired_secret_is_refused() -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.read(Cursors(["retired"]).write(7, *BINDING), *BINDING)


@pytest.mark.parametrize(
    "other",
    [
        ("p2", "/documents", "asc", None, None),
        ("p1", "/projects", "asc", None, None),
        ("p1", "/documents", "desc", None, None),
        ("p1", "/documents", "asc", 3, None),
        ("p1", "/documents", "asc", None, (1, 2)),
    ],
)
def test_a_cursor_belongs_to_its_principal_path_and_filters(other: tuple[object, ...]) -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.read(CURSORS.write(7, *BINDING), *other)


@given(st.data())
def test_any_altered_character_is_refused(data: st.DataObject) -> None:
    cursor = CURSORS.write(1234, *BINDING)
    at = data.draw(st.integers(0, len(cursor) - 1))
    character = data.draw(st.characters().filter(lambda c: c != cursor[at]))
    with pytest.raises(InvalidCursor):
        CURSORS.read(cursor[:at] + character + cursor[at + 1 :], *BINDING)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor):
        CURSORS.read(text, *BINDING)
