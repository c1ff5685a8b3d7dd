"""The keys of an installation as a table for people: a header, and one line for each key, without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from app.domain.access import SCOPES, Key

HEADER = ("ID", "STATE", "EXPIRES", "LAST USED", "NAME", "LIMITED TO", "SCOPES")
MAX_NAME_CHARS = 30
# A key may be limited to a thousand ids.
MAX_IDS_SHOWN = 5
GAP = "  "


def table(keys: Sequence[Key], now: datetime) -> Iterator[str]:
    """Yield the lines of the table. Moments are in UTC."""
    rows = [HEADER, *(_row(key, now) for key in keys)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    for row in rows:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def state(key: Key, now: datetime) -> str:
    """Return whether a key is active, or since when or until when."""
    if key.revoked_at:
        return f"revoked {_moment(key.revoked_at)}"
    if key.retired_at:
        return f"rotated, {'ends' if key.is_alive(now) else 'ended'} {_moment(key.retired_at)}"
    return "active" if key.is_alive(now) else "expired"


def _row(key: Key, now: datetime) -> tuple[str, ...]:
    name = key.name if len(key.name) <= MAX_NAME_CHARS else key.name[: MAX_NAME_CHARS - 1] + "…"
    # A key with keys:manage chooses this text, and a terminal obeys control characters.
    printable = "".join(character if character.isprintable() else "?" for character in name)
    scopes = "all" if set(key.scopes) == set(SCOPES) else " ".join(key.scopes)
    # A use is stored up to a minute late, so a key without a stored one may have been used.
    used_at = _moment(key.last_used_at) if key.last_used_at else "-"
    expires_at = _moment(key.expires_at) if key.expires_at else "never"
    return str(key.id), state(key, now), expires_at, used_at, printable, _limits(key), scopes


def _limits(key: Key) -> str:
    """Return the limits, such as `projects 1,2 documents 7 (hide)`."""
    if key.reach is None:
        return "-"
    limits = [f"{name} {_ids(ids)}" for name, ids in (("projects", key.projects), ("documents", key.documents)) if ids]
    return " ".join(limits or ["nothing"]) + (f" ({key.out_of_scope})" if key.out_of_scope else "")


def _ids(ids: Sequence[int]) -> str:
    first = ",".join(map(str, ids[:MAX_IDS_SHOWN]))
    return first if len(ids) <= MAX_IDS_SHOWN else f"{first},… ({len(ids)})"


def _moment(moment: str) -> str:
    """Return an RFC 3339 moment in UTC to the minute, such as 2026-11-28 09:15Z."""
    return f"{moment[:10]} {moment[11:16]}Z"
