"""Decides whether a key sees a row of the feed, and whether it sees a change or a removal; pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from app.domain.access import Access
from app.domain.changes.departures import LEFT
from app.domain.resources import DOCUMENT, PROJECT, ResourceType, stamp
from app.store.items import StoredItem

# A departure may be this much older than the revision's arrival in the feed: the clocks of hosts differ, and a write
# takes until the deadline of its request.
MARGIN = timedelta(seconds=10)


@dataclass(frozen=True)
class View:
    """The items that a client follows: those inside the limits of its key and inside the filter ``project_id``.

    A filter acts like a limit: documents that leave the project are removed.
    """

    access: Access
    project_id: int | None = None

    def shows_project(self, project_id: int) -> bool:
        """Return whether the client sees this project."""
        return self.access.admits_project(project_id) and self.project_id in (None, project_id)

    def shows_document(self, public_id: int, project_id: int | None) -> bool:
        """Return whether the client sees this document while it is in this project."""
        return self.access.admits(public_id, project_id) and self.project_id in (None, project_id)

    def shows(self, resource_type: ResourceType, public_id: int, project_id: int | None) -> bool:
        """Return whether the client sees an item of this type."""
        if resource_type is PROJECT:
            return self.shows_project(public_id)
        return self.shows_document(public_id, project_id)

    @property
    def is_unlimited(self) -> bool:
        """Whether the client sees every item."""
        return self.access.reach is None and self.project_id is None


@dataclass(frozen=True)
class Shown:
    """An item as a client sees it: its tag, and its value in JSON unless it is deleted or was not read.

    ``is_conflicted``: it has an open conflict.
    """

    resource_type: ResourceType
    public_id: int
    tag: str
    is_deleted: bool = False
    value: bytes | None = None
    is_conflicted: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Identifies the item."""
        return self.resource_type.name, self.public_id


def visible(
    resource_type: ResourceType, item: StoredItem, view: View, since: str, secret: str, *, with_value: bool
) -> Shown | None:
    """Return the change that a client sees in a row of the feed, None if it sees none. Mark conflicts before.

    The client knows everything up to the time ``since`` (RFC 3339). A document that left its view is deleted for it.
    The tag of such a removal is a digest of the departure under ``secret``: the client may not see the revision.
    """
    public_id = resource_type.public_id(item.doc_id)
    if view.shows(resource_type, public_id, item.project_id):
        value = resource_type.body(item.fields) if with_value and not item.is_deleted else None
        return Shown(resource_type, public_id, item.revision, item.is_deleted, value, bool(item.conflicts))
    if resource_type is not DOCUMENT:
        return None
    departure = _departure(item, public_id, view, since)
    if departure is None:
        return None
    return Shown(resource_type, public_id, removal_tag(secret, public_id, departure), is_deleted=True)


def removal_tag(secret: str, public_id: int, departure: Mapping[str, Any]) -> str:
    """Return the tag of a removal, the same for every later revision of the document."""
    content = f"removal {public_id} {departure['project']} {departure['generation']}"
    return hmac.new(secret.encode(), content.encode(), sha256).hexdigest()[:32]


def _departure(item: StoredItem, public_id: int, view: View, since: str) -> Mapping[str, Any] | None:
    """Return the latest departure from the view that the client may not know of.

    One that is older than the client's place was reported before. A revision that is older itself came late, by
    replication or after a rewind of the feed, and so may all of its departures.
    """
    if LEFT not in item.fields:
        return None
    known_until = _earlier(since)
    came_late = item.fields.get("updated_at", "") < known_until
    departures = [
        each
        for each in item.fields[LEFT]
        if view.shows_document(public_id, each["project"]) and (came_late or each["at"] >= known_until)
    ]
    return max(departures, key=lambda each: each["generation"], default=None)


def _earlier(time: str) -> str:
    return stamp(datetime.fromisoformat(time) - MARGIN)
