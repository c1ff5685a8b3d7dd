"""The changes over HTTP: by poll, by long-poll and as a stream of events."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

from flask import request

from app.api.change_stream import MEDIA_TYPE, ChangeStream, WriteCursor, change_json
from app.domain.changes.changes import Changes, Poll
from app.domain.changes.cursor import Checkpoint
from app.domain.changes.query import TYPE_SCOPES, ChangesQuery
from app.domain.changes.tickets import PRESENT, Ticket, cursor_binding
from app.domain.resources import DOCUMENT, PROJECT
from app.errors import Fault, NotAcceptable, Unavailable, ValidationFailed
from app.http import answers
from app.http.accept import quality
from app.http.answers import JSON, Answer, names_tag
from app.http.identity import STREAM_FEED, Identity
from app.http.operations import NO_REFERRER, Routes
from app.http.waiting import HAS_ROOM, RESUMED, EventStream, LongPoll, Resumed
from app.schemas.change_events import STREAM
from app.schemas.changes import ChangesQuerySchema, ChangesSchema
from app.services import Services

TYPES = {each.name: each for each in TYPE_SCOPES}
CACHING = {"Vary": f"{answers.CACHING['Vary']}, Accept"}
STREAM_HEADERS = {
    "Content-Type": MEDIA_TYPE,
    # Proxies may neither store, nor compress, nor buffer it.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    **NO_REFERRER,
    **CACHING,
}
FIXED_BY_TICKET = "The ticket has the parameters of its stream."
# The seconds that a long-poll waits by default, and at most.
WAIT_SECONDS, MAX_WAIT_SECONDS = 25, 60
# The Retry-After for clients that the server cannot let wait.
RETRY_SECONDS = 5

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
    other_media_types=(MEDIA_TYPE,),
    media_types={MEDIA_TYPE: STREAM},
    request_headers=("Last-Event-ID",),
    also=(410,),
    may_be_uncounted=True,
    takes_tickets=True,
)
def list_changes(services: Services, identity: Identity, query: dict[str, Any]) -> Answer:
    """Read the changes

    Without `since`, a first sync: all items that the key sees, and then the changes. Send the `next` of each answer as
    the next `since`, and continue at once until `caught_up`. After a 410, begin again without `since`. An answer
    without changes does not count against the rate limit, and a 304 means to keep one's `since`.

    With `feed=longpoll`, the answer waits for the first change. With `feed=eventsource`, or if the Accept header
    prefers `text/event-stream`, it is a stream without an end. A ticket opens that stream without a key.
    """
    ticket = identity.ticket
    query = query if ticket is None else stream_query(ticket, query)
    feed = feed_of(query, request.headers.get("Accept"))
    binding = cursor_binding(identity.access.principal, query)

    def write_cursor(checkpoint: Checkpoint) -> str:
        return services.change_cursors.write(replace(checkpoint, ticket=ticket.id if ticket else None), *binding)

    # A browser's EventSource repeats its URL, and reports in a header how far it has come.
    event_id = request.headers.get("Last-Event-ID") if feed == STREAM_FEED else None
    since = event_id or query.get("since")
    from_now = not event_id and since == PRESENT
    checkpoint = None if from_now or since is None else services.change_cursors.read(since, *binding)
    changes_query = ChangesQuery(since=checkpoint, from_now=from_now, **filters(services, query))
    if feed == STREAM_FEED:
        return stream(services.changes, identity, changes_query, write_cursor)
    if feed == "longpoll" and request.method == "GET" and HAS_ROOM in request.environ:
        seconds = min(query.get("timeout", WAIT_SECONDS), MAX_WAIT_SECONDS)
        return long_poll(services.changes, identity, changes_query, write_cursor, seconds)
    return answer(services.changes.poll(identity.access, changes_query), write_cursor)


def filters(services: Services, query: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that select changes, as ChangesQuery takes them."""
    return {
        "limit": min(query.get("limit", services.settings.page_size), services.settings.max_page_size),
        "resource_type": TYPES[query["type"]] if "type" in query else None,
        "project_id": query.get("project_id"),
        "with_values": "include" in query,
    }


def stream_query(ticket: Ticket, query: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a ticket's stream. Raises ValidationFailed for others beside the ticket."""
    own = {name: value for name, value in query.items() if name not in ("ticket", "feed")}
    others = [name for name, value in own.items() if ticket.parameters.get(name) != value]
    if others:
        raise ValidationFailed(faults=tuple(Fault(f"query.{name}", FIXED_BY_TICKET) for name in others))
    return {**ticket.parameters, "feed": STREAM_FEED}


def feed_of(query: dict[str, Any], accept: str | None) -> str:
    """Return the kind of feed. Raises NotAcceptable if the Accept header does not admit its media type."""
    prefers_stream = quality(accept, MEDIA_TYPE) > quality(accept, JSON)
    feed: str = query.get("feed", STREAM_FEED if prefers_stream else "poll")
    media_type = MEDIA_TYPE if feed == STREAM_FEED else JSON
    if not quality(accept, media_type):
        raise NotAcceptable(f"feed={feed} answers with {media_type}, which the Accept header does not admit.")
    return feed


def stream(changes: Changes, identity: Identity, query: ChangesQuery, write_cursor: WriteCursor) -> Answer:
    """Return a stream. It counts as one read, however many events it sends."""
    source = ChangeStream(changes, identity.access, query, write_cursor)
    if request.method == "HEAD":
        return Answer(None, headers=STREAM_HEADERS)
    check_room()
    return Answer(None, headers=STREAM_HEADERS, waiting=EventStream(identity, source))


def long_poll(
    changes: Changes, identity: Identity, query: ChangesQuery, write_cursor: WriteCursor, seconds: int
) -> Answer:
    """Return the answer of a poll; it waits if it shows no change, or only changes that the client already has."""
    resumed = request.environ.get(RESUMED) or Resumed(time.monotonic() + seconds, None)
    query = replace(query, since=resumed.since or query.since)
    subscription = changes.subscribe(identity.access, query, with_values=False)
    has_joined = changes.join(subscription)
    poll = changes.poll(identity.access, query)
    if has_joined:
        subscription.note_read(poll.checkpoint)
    is_known = names_tag(request.headers.get("If-None-Match"), poll.tag)
    seconds_left = resumed.deadline - time.monotonic()
    if seconds_left <= 0 or not (is_known or (poll.is_caught_up and not poll.changes)):
        return answer(poll, write_cursor)
    check_room()
    # A wait from the present must not begin later.
    resumed = resumed._replace(since=poll.checkpoint if query.from_now else query.since)

    def refreshed() -> bytes | None:
        portion = None if poll.changes else subscription.take(poll.checkpoint, change_json)
        if portion is None or portion.changes:
            return None
        body: bytes = answer(replace(poll, checkpoint=portion.checkpoint), write_cursor).body
        return body

    waiting = LongPoll(identity, subscription, resumed, refreshed)
    return replace(answer(poll, write_cursor), waiting=waiting)


def check_room() -> None:
    """Raise Unavailable if the server cannot let another client wait."""
    if not request.environ.get(HAS_ROOM, True):
        raise Unavailable("Too many clients wait for changes here.", headers={"Retry-After": str(RETRY_SECONDS)})


def answer(poll: Poll, write_cursor: WriteCursor) -> Answer:
    """Return the answer of a poll; the items are JSON already."""
    members = {"next": write_cursor(poll.checkpoint), "caught_up": poll.is_caught_up}
    end = json.dumps(members, separators=(",", ":")).encode()
    body = b'{"changes":[' + b",".join(map(change_json, poll.changes)) + b"]," + end[1:] + b"\n"
    return Answer(body, headers={**answers.tag_headers(poll.tag), **CACHING}, is_uncounted=not poll.changes)
