"""A ticket opens its stream for a minute, and later only from an id that was sent under it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.access import Access
from app.domain.changes.cursor import ChangeCursors, Checkpoint
from app.domain.changes.tickets import Ticket, Tickets, cursor_binding
from app.errors import InvalidCursor, Unauthorized
from app.server.streams import TIMING

pytestmark = pytest.mark.nodatabase

NOON = datetime(2026, 1, 1, 12, 0, 0, 900_000, tzinfo=UTC)
ADA = Access(7, "p7", frozenset({"documents:read"}))
CHECKPOINT = Checkpoint(0, "a digest", "2026-01-01T12:00:00.000000Z", {})
FILTERS: dict[str, Any] = {"type": "document", "project_id": 10}


class Office:
    """Tickets at a time that the test sets, and the ids of their streams' events."""

    def __init__(self, *secrets: str) -> None:
        secrets = secrets or ("a secret",)
        self.now = NOON
        self.cursors = ChangeCursors(secrets)
        self.tickets = Tickets(secrets, self.cursors, lambda: self.now)

    def issue(self, **parameters: Any) -> str:
        """Return a ticket with FILTERS and further parameters."""
        return self.tickets.issue(ADA, FILTERS | parameters)

    def event_id(self, ticket: Ticket | None) -> str:
        """Return the id of an event that is sent under a ticket, or of an answer to a key."""
        checkpoint = replace(CHECKPOINT, ticket=ticket.id if ticket else None)
        return self.cursors.write(checkpoint, *cursor_binding("p7", FILTERS))

    def admits(self, text: str, last_event_id: str | None = None, *, after: float = 0) -> bool:
        """Return whether a ticket opens its stream ``after`` seconds."""
        self.now = NOON + timedelta(seconds=after)
        try:
            self.tickets.admit(text, last_event_id)
        except Unauthorized:
            return False
        return True


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_ticket_names_its_key_and_the_parameters_of_its_stream(office: Office) -> None:
    ticket = office.tickets.admit(office.issue(include="value", since="now"), None)
    assert (ticket.key_id, ticket.principal) == (7, "p7")
    assert ticket.parameters == {**FILTERS, "include": "value", "since": "now"}
    assert office.tickets.admit(office.issue(), None).id != ticket.id


def test_the_length_of_a_ticket_does_not_depend_on_the_time(office: Office) -> None:
    lengths = set()
    for milliseconds in (0, 100, 120, 123):
        office.now = NOON + timedelta(milliseconds=milliseconds)
        lengths.add(len(office.issue()))
    assert len(lengths) == 1


def test_a_ticket_opens_its_stream_any_number_of_times_for_a_minute(office: Office) -> None:
    text = office.issue()
    assert [office.admits(text, after=seconds) for seconds in (0, 30, 60, 60.5, 3600)] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_later_only_an_id_that_was_sent_under_it_continues_the_stream(office: Office) -> None:
    one, two = office.issue(), office.issue()
    ticket, other = (office.tickets.admit(text, None) for text in (one, two))
    assert office.admits(one, office.event_id(ticket), after=61)
    for foreign in (office.event_id(other), office.event_id(None), "", "x", "now"):
        assert not office.admits(one, foreign, after=61)
    # For a minute the key's own cursors serve as well.
    assert office.admits(one, office.event_id(None), after=59)


def test_a_ticket_ends_so_that_no_stream_is_open_after_twelve_hours(office: Office) -> None:
    text, end = office.issue(), 12 * 3600 - TIMING.life_seconds
    event_id = office.event_id(office.tickets.admit(text, None))
    assert office.admits(text, event_id, after=end - 1)
    assert not office.admits(text, event_id, after=end)
    # A host whose clock is behind may receive it.
    assert office.admits(text, after=-2)


def test_every_change_of_a_character_is_refused(office: Office) -> None:
    text = office.issue()
    for at in range(len(text)):
        for other in "AB-_.":
            altered = text[:at] + other + text[at + 1 :]
            assert office.admits(altered) is (altered == text)


@pytest.mark.parametrize("text", ["", ".", "ds_ticket_", "ds_ticket_W10.x", "é", "\ud800", "ds_live_x", "A" * 5000])
def test_any_other_text_is_refused(office: Office, text: str) -> None:
    assert not office.admits(text)


def test_a_since_must_belong_to_the_principal_and_the_filters(office: Office) -> None:
    since = office.event_id(None)
    assert office.admits(office.issue(since=since))
    for parameters in ({}, {**FILTERS, "type": "project"}):
        with pytest.raises(InvalidCursor):
            office.tickets.issue(ADA, {**parameters, "since": since})
    with pytest.raises(InvalidCursor):
        office.tickets.issue(replace(ADA, principal="p8"), {**FILTERS, "since": since})


def test_every_secret_of_a_rotation_verifies_and_the_first_one_signs() -> None:
    old, both, new = Office("old"), Office("new", "old"), Office("new")
    assert both.admits(old.issue())
    assert new.admits(both.issue())
    assert not new.admits(old.issue())
