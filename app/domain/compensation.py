"""Undoes the write of a document whose project was deleted in the meantime."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from app.domain.items import Items
from app.store.items import Change, Fields, StoredItem, WriteId


class Superseded(Exception):
    """Others have moved the document to another project."""


class Modified(Exception):
    """Others have changed the document."""


def undo_write(documents: Items, change: Change, write_id: WriteId) -> StoredItem | None:
    """Undo a creation or a move that was written under ``write_id``; return the document, None if it is deleted.

    A new document that others have changed is put into no project instead, so that their work stays. The undoing has
    a write id of its own, by which a repetition recognises it. Raises Superseded, NotFound where others have deleted
    the document, Conflict and Unavailable.
    """
    before, after = change

    def check_not_superseded(item: StoredItem) -> None:
        if item.project_id != after.project_id:
            raise Superseded

    def check_not_modified(item: StoredItem) -> None:
        check_not_superseded(item)
        if not item.is_by(write_id):
            raise Modified

    if before is None:
        with suppress(Modified):
            documents.delete(after.public_id, check=check_not_modified, write_id=write_id.compensation)
            return None
        before = without_project(after)
    project = {name: value for name, value in before.fields.items() if name == "project_id"}

    def compose(item: StoredItem) -> Fields:
        check_not_superseded(item)
        if item.revision == after.revision:
            return documents.members(before)
        # Others have changed it since. Their changes stay, but not in this project.
        return {**documents.members(without_project(item)), **project}

    return documents.update(after.public_id, compose, write_id=write_id.compensation).after


def without_project(document: StoredItem) -> StoredItem:
    """Return the same document in no project."""
    return replace(document, fields={name: it for name, it in document.fields.items() if name != "project_id"})
