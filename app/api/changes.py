"""The changes over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from app.domain.access import Access
from app.domain.changes.changes import TYPE_SCOPES, ChangesQuery
from app.domain.changes.visibility import Shown
from app.domain.resources import DOCUMENT, PROJECT
from app.http import answers
from app.http.answers import Answer
from app.http.operations import Routes
from app.schemas.changes import ChangesQuerySchema, ChangesSchema
from app.wiring import Services

TYPES = {each.name: each for each in TYPE_SCOPES}
# Event streams will be chosen by the Accept header.
CACHING = {"Vary": f"{answers.CACHING['Vary']}, Accept"}
PRESENT = "now"

routes = Routes("changes", "The changes of all items, for clients that keep a copy.")
blueprint = routes.blueprint


@routes.operation(
    "GET",
    "/changes",
    scope=TYPE_SCOPES[DOCUMENT],
    other_scopes=(TYPE_SCOPES[PROJECT],),
    query=ChangesQuerySchema(),
    answer=ChangesSchema(),
    headers=answers.HEADER_NAMES,
    also=(410,),
    may_be_uncounted=True,
)
def list_changes(services: Services, access: Access, query: dict[str, Any]) -> Answer:
    """Read the changes

    Without `since`, a first sync: all items that the key sees, and then the changes. Send the `next` of each answer as
    the next `since`, and continue at once until `caught_up`. After a 410, begin again without `since`. An answer
    without changes does not count against the rate limit, and a 304 means to keep one's `since`.
    """
    binding = (access.principal, query.get("type"), query.get("project_id"))
    since = query.get("since")
    poll = services.changes.poll(
        access,
        ChangesQuery(
            limit=min(query.get("limit", services.settings.page_size), services.settings.max_page_size),
            resource_type=TYPES[query["type"]] if "type" in query else None,
            project_id=query.get("project_id"),
            since=None if since in (None, PRESENT) else services.change_cursors.read(since, *binding),
            from_now=since == PRESENT,
            with_values="include" in query,
        ),
    )
    body = _body(poll.changes, services.change_cursors.write(poll.checkpoint, *binding), poll.is_caught_up)
    return Answer(body, headers={**answers.tag_headers(poll.tag), **CACHING}, is_uncounted=not poll.changes)


def _body(changes: Iterable[Shown], cursor: str, is_caught_up: bool) -> bytes:
    """Return the answer; the items are JSON already."""
    end = json.dumps({"next": cursor, "caught_up": is_caught_up}, separators=(",", ":")).encode()
    return b'{"changes":[' + b",".join(map(_change, changes)) + b"]," + end[1:] + b"\n"


def _change(change: Shown) -> bytes:
    members: dict[str, Any] = {"type": change.resource_type.name, "id": change.public_id, "etag": f'"{change.tag}"'}
    if change.is_deleted:
        members["deleted"] = True
    text = json.dumps(members, separators=(",", ":")).encode()
    return text if change.value is None else text[:-1] + b',"value":' + change.value + b"}"
