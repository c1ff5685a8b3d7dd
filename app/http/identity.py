"""Identifies the sender of a request by its key, or by a ticket in place of a key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from flask import Request

from app.domain.access import Access
from app.domain.changes.tickets import Ticket, Tickets
from app.domain.keys.authenticator import Authenticator
from app.errors import Fault, Unauthorized, ValidationFailed
from app.http.credentials import key_text

# The one feed that a ticket opens.
STREAM_FEED = "eventsource"
KEY_AND_TICKET = "Send either a key or a ticket, not both."


class Identity(NamedTuple):
    """The rights behind a request, and the ticket that it came with, if any.

    A client that waits for long has them checked again: ``check`` returns them, and raises Unauthorized once they have
    ended, and Unavailable if the database does not answer.
    """

    access: Access
    check: Callable[[], Access]
    ticket: Ticket | None = None


def identify(authenticator: Authenticator, tickets: Tickets | None, request: Request) -> Identity:
    """Return the identity of a request, which may come with one of ``tickets`` if there are any.

    Raises Unauthorized, ValidationFailed and Unavailable.
    """
    text = request.args.get("ticket") if tickets else None
    if tickets is None or text is None:
        check = partial(authenticator.authenticate, key_text(request.environ))
        return Identity(check(), check)
    if key_text(request.environ):
        raise ValidationFailed(faults=(Fault("query.ticket", KEY_AND_TICKET),))
    if request.args.get("feed", STREAM_FEED) != STREAM_FEED:
        raise Unauthorized
    ticket = tickets.admit(text, request.headers.get("Last-Event-ID"))
    check = partial(authenticator.authenticate_id, ticket.key_id)
    return Identity(check(), check, ticket)
