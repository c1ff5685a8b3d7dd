"""The description of the stream of changes, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

DESCRIPTION = """\
Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

The stream begins with `retry`, the milliseconds until a client connects again, and the event `ready`.
`document.changed`, `document.conflicted`, `document.deleted` and the same for `project` have one change each as
`data`: a JSON object as in `changes` of a poll. The last event of a batch has an `id`, which is a `next`. `heartbeat`
comes every 15 seconds while nothing happens. After `gone`, begin again without `since` and `Last-Event-ID`, and drop
the items that the new pass does not show. Ignore events that you do not know."""
# OpenAPI 3.1 cannot describe the events of a stream. Tools take the schema of the media type for that of each event.
EVENT: dict[str, Any] = {
    "type": "object",
    "description": DESCRIPTION,
    "properties": {
        "event": {"type": "string", "description": "The kind of the event.", "examples": ["document.changed"]},
        "data": {"type": "string", "description": "A JSON object.", "contentMediaType": "application/json"},
        "id": {"type": "string", "description": "The `since` of a client that has seen everything up to this event."},
        "retry": {"type": "integer", "description": "Milliseconds until a client connects again."},
    },
}
EXAMPLE = {
    "id": "Yk2f81aa",
    "event": "document.deleted",
    "data": '{"type":"document","id":4,"etag":"\\"3-77ab\\"","deleted":true}',
}
STREAM: dict[str, Any] = {"schema": EVENT, "example": EXAMPLE}
