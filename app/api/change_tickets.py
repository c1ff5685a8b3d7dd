"""Tickets over HTTP, which open a stream of changes without a key."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import request

from app.api.changes import TYPES
from app.domain.access import Access
from app.domain.changes.query import TYPE_SCOPES, ChangesQuery
from app.domain.changes.tickets import VALID_SECONDS
from app.domain.resources import DOCUMENT, PROJECT
from app.http.answers import NO_STORE, Answer
from app.http.operations import NO_REFERRER, Routes
from app.schemas.change_tickets import NewTicketSchema, TicketSchema
from app.services import Services

HEADERS = {**NO_STORE, **NO_REFERRER}

routes = Routes("tickets", "Tickets that let a browser's EventSource open a stream of changes.")
blueprint = routes.blueprint


@routes.operation(
    "POST",
    "/changes/tickets",
    scope=TYPE_SCOPES[DOCUMENT],
    other_scopes=(TYPE_SCOPES[PROJECT],),
    body=NewTicketSchema(),
    status=201,
    answer=TicketSchema(),
    headers=HEADERS,
    is_stateless=True,
)
def create_ticket(services: Services, access: Access, body: dict[str, Any]) -> Answer:
    """Create a ticket for a stream of changes

    The browser's own `EventSource` cannot send a key: give it the `url` instead. The ticket opens the stream with these
    filters, and nothing else, any number of times within 60 seconds. After that it continues the stream when the
    browser reconnects, for 12 hours, as long as the key lives. Nothing is stored, so there is no `Idempotency-Key`.
    """
    resource_type = TYPES[body["type"]] if "type" in body else None
    ChangesQuery(limit=1, resource_type=resource_type, project_id=body.get("project_id")).types(access)
    ticket = services.change_tickets.issue(access, body)
    url = f"{request.url_root}changes?{urlencode({'ticket': ticket})}"
    return Answer({"ticket": ticket, "url": url, "expires_in": VALID_SECONDS}, headers=HEADERS)
