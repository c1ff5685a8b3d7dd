"""How a document is taken back whose project was deleted while it came."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.domain.items import Items
from app.domain.merge_patch import merged
from app.store.items import StoredItem
from app.store.write_id import WriteId, undoing


class MovedOn(Exception):
    """Others have put the document elsewhere."""


class Touched(Exception):
    """Others have changed the document."""


def take_back(documents: Items, before: StoredItem | None, after: StoredItem) -> StoredItem | None:
    """Undo what made a document of nothing, or moved it to where ``after`` is; return what it is then, None if gone.

    A new one that others have worked on is put into no project instead, so that their work stays. It is done under a
    nonce by which a repetition knows that it was undone. Raises MovedOn, NotFound where others have deleted it,
    Conflict and Unavailable.
    """

    def require_still_there(found: StoredItem) -> None:
        if found.project_id != after.project_id:
            raise MovedOn

    def require_untouched(found: StoredItem) -> None:
        require_still_there(found)
        if found.fields.get("nonce") != after.fields["nonce"]:
            raise Touched

    undo = WriteId(nonce=undoing(after.fields["nonce"]))
    if before is None:
        with suppress(Touched):
            documents.delete(after.public_id, check=require_untouched, attempt=undo)
            return None
        before = after.nowhere()
    back = {name: value for name, value in before.fields.items() if name == "project_id"}

    def compose(found: StoredItem) -> Mapping[str, Any]:
        require_still_there(found)
        if found.revision == after.revision:
            return documents.members(before)
        # What others have made of it meanwhile stays, but not there.
        return {**merged(documents.members(found), {"project_id": None}), **back}

    return documents.change(after.public_id, compose, attempt=undo).after
