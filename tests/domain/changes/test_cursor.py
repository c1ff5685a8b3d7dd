"""Cursors of the changes are secret, bound, and of a length that reveals nothing."""

from __future__ import annotations

from base64 import urlsafe_b64decode

import pytest

from app.domain.changes.cursor import ChangeCursors, Checkpoint, Place
from app.errors import InvalidCursor

pytestmark = pytest.mark.nodatabase

CHECKPOINT = Checkpoint(
    region=0,
    scope="a digest",
    time="2026-01-31T12:00:00.000000Z",
    places={"document": Place("d" * 32, "17-g1AAAA"), "project": Place("p" * 32, 4)},
    listing=("document", 12),
)
BINDING = ("ada", None, 10)


@pytest.fixture(scope="module")
def cursors() -> ChangeCursors:
    return ChangeCursors(["a secret"])


@pytest.mark.parametrize("listing", [("document", 12), None])
def test_a_cursor_is_read_as_it_was_written(cursors: ChangeCursors, listing: tuple[str, int] | None) -> None:
    checkpoint = Checkpoint(0, "x", CHECKPOINT.time, CHECKPOINT.places, listing)
    assert cursors.read(cursors.write(checkpoint, *BINDING), *BINDING) == checkpoint


def test_a_cursor_shows_nothing(cursors: ChangeCursors) -> None:
    first, second = (cursors.write(CHECKPOINT, *BINDING) for _ in range(2))
    assert first != second
    assert b"g1AAAA" not in urlsafe_b64decode(first + "==")
    longer = Checkpoint(0, "a digest", CHECKPOINT.time, {"document": Place("d" * 32, "123456789-" + "g" * 200)})
    assert len(cursors.write(longer, *BINDING)) == len(first)


@pytest.mark.parametrize("binding", [("eve", None, 10), ("ada", "document", 10), ("ada", None, None)])
def test_another_binding_is_refused(cursors: ChangeCursors, binding: tuple[object, ...]) -> None:
    with pytest.raises(InvalidCursor):
        cursors.read(cursors.write(CHECKPOINT, *BINDING), *binding)


def test_every_change_of_a_character_is_refused(cursors: ChangeCursors) -> None:
    cursor = cursors.write(CHECKPOINT, *BINDING)
    for at in (0, 5, 20, len(cursor) // 2, len(cursor) - 2, len(cursor) - 1):
        for other in "AB-_":
            altered = cursor[:at] + other + cursor[at + 1 :]
            if altered != cursor:
                with pytest.raises(InvalidCursor):
                    cursors.read(altered, *BINDING)


@pytest.mark.parametrize("text", ["", "x", "abcd", "A" * 16, "A" * 40, "é", "!!!!", "QUJD\n", "now", "-" * 5000])
def test_any_other_text_is_refused(cursors: ChangeCursors, text: str) -> None:
    with pytest.raises(InvalidCursor):
        cursors.read(text, *BINDING)


def test_every_secret_decrypts_and_the_first_encrypts() -> None:
    old, both, new = ChangeCursors(["old"]), ChangeCursors(["new", "old"]), ChangeCursors(["new"])
    assert both.read(old.write(CHECKPOINT, *BINDING), *BINDING) == CHECKPOINT
    assert new.read(both.write(CHECKPOINT, *BINDING), *BINDING) == CHECKPOINT
    with pytest.raises(InvalidCursor):
        new.read(old.write(CHECKPOINT, *BINDING), *BINDING)
