"""A key is looked up at most every 3 seconds, and its end takes effect in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.access import Key
from app.domain.keys import authenticator
from app.domain.keys.authenticator import VALID_SECONDS, Authenticator
from app.domain.resources import stamp
from app.errors import Unauthorized, Unavailable

pytestmark = pytest.mark.nodatabase

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class FakeKeys:
    """A database stub that counts lookups and has one key."""

    def __init__(self) -> None:
        self.lookups = 0
        self.key: Key | None = Key(7, "p7", "test", ("documents:read",), stamp(NOON), None, None)
        self.fails = False

    def recognise(self, text: str) -> Key | None:
        """Return the key if ``text`` is its text."""
        self.lookups += 1
        if self.fails:
            raise Unavailable
        return self.key if text == "good" else None

    def find(self, key_id: int) -> Key | None:
        """Return the key if ``key_id`` is its id."""
        self.lookups += 1
        return self.key if key_id == 7 else None


class Desk:
    """An authenticator with a manual clock."""

    def __init__(self) -> None:
        self.keys, self.seconds = FakeKeys(), 0.0
        self.noted: list[tuple[int, datetime]] = []
        self.authenticator = Authenticator(
            self.keys,  # type: ignore[arg-type]
            lambda key_id, moment: self.noted.append((key_id, moment)),
            "forbid",
            lambda: NOON + timedelta(seconds=self.seconds),
            lambda: self.seconds,
        )

    def accepts(self, text: str | None) -> bool:
        """Return whether ``text`` is accepted now."""
        try:
            return self.authenticator.authenticate(text).principal == "p7"
        except Unauthorized:
            return False


@pytest.fixture
def desk() -> Desk:
    """A fresh desk."""
    return Desk()


def test_a_key_in_use_is_looked_up_every_3_seconds(desk: Desk) -> None:
    assert all(desk.accepts("good") for _ in range(5))
    assert desk.keys.lookups == 1
    desk.seconds = VALID_SECONDS
    assert desk.accepts("good")
    assert desk.keys.lookups == 2


def test_each_accepted_use_is_noted_with_its_moment(desk: Desk) -> None:
    assert desk.accepts("good")
    desk.seconds = 1.0
    assert desk.accepts("good")
    assert not desk.accepts("bad")
    assert not desk.accepts(None)
    assert desk.keys.key is not None
    desk.seconds, desk.keys.key = 5.0, replace(desk.keys.key, revoked_at=stamp(NOON))
    assert not desk.accepts("good")
    assert desk.noted == [(7, NOON), (7, NOON + timedelta(seconds=1))]


def test_a_missing_key_costs_no_lookup(desk: Desk) -> None:
    assert not desk.accepts(None)
    assert not desk.accepts("")
    assert desk.keys.lookups == 0


@pytest.mark.parametrize("text", ["unknown", "good"])
def test_refused_keys_are_remembered_alike(desk: Desk, text: str) -> None:
    """Otherwise the time of a refusal would distinguish unknown keys from revoked ones."""
    desk.keys.key = Key(7, "p7", "test", (), stamp(NOON), revoked_at=stamp(NOON))
    assert not any(desk.accepts(text) for _ in range(5))
    assert desk.keys.lookups == 1
    desk.seconds = VALID_SECONDS
    assert not desk.accepts(text)
    assert desk.keys.lookups == 2


def test_wrong_keys_do_not_evict_valid_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authenticator, "MAX_ENTRIES", 3)
    desk = Desk()
    assert desk.accepts("good")
    assert not any(desk.accepts(f"wrong {n}") for n in range(5))
    lookups = desk.keys.lookups
    assert desk.accepts("good")
    assert desk.keys.lookups == lookups
    assert not desk.accepts("wrong 0")
    assert desk.keys.lookups == lookups + 1


def test_a_revocation_takes_effect_within_five_seconds(desk: Desk) -> None:
    assert desk.accepts("good")
    assert desk.keys.key is not None
    desk.keys.key = Key(7, "p7", "test", (), stamp(NOON), revoked_at=stamp(NOON))
    desk.seconds = 5.0
    assert not desk.accepts("good")


def test_an_expiry_needs_no_lookup_to_take_effect(desk: Desk) -> None:
    desk.keys.key = Key(7, "p7", "test", (), stamp(NOON), expires_at=stamp(NOON + timedelta(seconds=1)))
    assert desk.accepts("good")
    desk.seconds = 1.0
    assert not desk.accepts("good")
    assert desk.keys.lookups == 1


def test_an_unreachable_database_is_503_and_not_401(desk: Desk) -> None:
    assert desk.accepts("good")
    desk.seconds, desk.keys.fails = VALID_SECONDS, True
    with pytest.raises(Unavailable):
        desk.accepts("good")


def test_a_key_is_authenticated_again_by_its_id(desk: Desk) -> None:
    assert [desk.authenticator.authenticate_id(7).key_id for _ in range(2)] == [7, 7]
    assert desk.keys.lookups == 1
    with pytest.raises(Unauthorized):
        desk.authenticator.authenticate_id(8)
    assert desk.keys.key is not None
    desk.seconds, desk.keys.key = 5.0, replace(desk.keys.key, revoked_at=stamp(NOON))
    with pytest.raises(Unauthorized):
        desk.authenticator.authenticate_id(7)
    assert [key_id for key_id, _ in desk.noted] == [7, 7]
