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
EXAMPLE = r"""retry: 2104

id: Xb1c0bq3
event: ready
data: {}

event: project.changed
data: {"type":"project","id":10,"etag":"\"1-5a0c\""}

id: Yk2f81aa
event: document.deleted
data: {"type":"document","id":4,"etag":"\"3-77ab\"","deleted":true}

event: heartbeat
data: {}

"""
# OpenAPI 3.1 has no word for the events of a stream.
STREAM: dict[str, Any] = {"schema": {"type": "string", "description": DESCRIPTION}, "example": EXAMPLE}
