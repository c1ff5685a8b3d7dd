"""Tickets: signed permissions to open one stream of changes, for browsers whose EventSource cannot send a key.

Nothing is stored. A ticket opens its stream within VALID_SECONDS. Later it only continues the stream from an id that
was sent under it, so that the URL alone, which proxies and histories may keep, opens nothing.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Any

from itsdangerous import BadSignature, Signer

from app.domain.access import Access
from app.domain.changes.cursor import ChangeCursors
from app.errors import InvalidCursor, Unauthorized

VALID_SECONDS = 60
# A ticket opens its stream for this time. The last stream may last for another 15 minutes: 12 hours together.
MAX_AGE = timedelta(hours=11, minutes=45)
# Tickets begin as keys do, so that the log hides them too (app/server/logs.py).
PREFIX = "ds_ticket_"
SALT = "ticket for a stream of changes"
ID_BYTES = 12
PRESENT = "now"


@dataclass(frozen=True)
class Ticket:
    """The key that a ticket was issued for, when, in seconds since the epoch, and the parameters of its stream.

    ``parameters`` are those of a query for changes: `since`, `include`, `type` and `project_id`.
    """

    id: str
    key_id: int
    principal: str
    issued_at_ms: int
    parameters: Mapping[str, Any]


class Tickets:
    """Issue and read tickets. The first of ``secrets`` signs, and all of them verify."""

    def __init__(self, secrets: Sequence[str], cursors: ChangeCursors, now: Callable[[], datetime]) -> None:
        self._signers = [Signer(secret, SALT, digest_method=sha256) for secret in secrets]
        self._cursors, self._now = cursors, now

    def issue(self, access: Access, parameters: Mapping[str, Any]) -> str:
        """Return a ticket for the key of ``access``. Raises InvalidCursor for a `since` that is not the key's."""
        since = parameters.get("since", PRESENT)
        if since != PRESENT:
            self._cursors.read(since, *cursor_binding(access.principal, parameters))
        issued_at_ms = round(1000 * self._now().timestamp())
        content = [token_urlsafe(ID_BYTES), access.key_id, access.principal, issued_at_ms, dict(parameters)]
        payload = PREFIX.encode() + urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")
        return self._signers[0].sign(payload).decode()

    def admit(self, text: str, last_event_id: str | None) -> Ticket:
        """Return the ticket if it opens its stream now, after ``last_event_id`` if the client has received one.

        Raises Unauthorized, alike for every reason.
        """
        ticket = self._read(text)
        age = self._now() - datetime.fromtimestamp(ticket.issued_at_ms / 1000, UTC)
        is_new = age.total_seconds() <= VALID_SECONDS
        if age >= MAX_AGE or not (is_new or self._has_sent(ticket, last_event_id)):
            raise Unauthorized
        return ticket

    def _read(self, text: str) -> Ticket:
        signed = text.encode(errors="replace")
        for signer in self._signers:
            try:
                payload = signer.unsign(signed)
            except BadSignature:
                continue
            # A signature in base64 has several spellings, and only one of them is valid.
            if signer.sign(payload) == signed:
                return Ticket(*json.loads(urlsafe_b64decode(payload.removeprefix(PREFIX.encode()) + b"==")))
        raise Unauthorized

    def _has_sent(self, ticket: Ticket, event_id: str | None) -> bool:
        """Return whether the stream of ``ticket`` has sent this id."""
        if event_id is None:
            return False
        try:
            checkpoint = self._cursors.read(event_id, *cursor_binding(ticket.principal, ticket.parameters))
        except InvalidCursor:
            return False
        return checkpoint.ticket == ticket.id


def cursor_binding(principal: str, parameters: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the values of a query for changes that its cursors are bound to."""
    return principal, parameters.get("type"), parameters.get("project_id")
