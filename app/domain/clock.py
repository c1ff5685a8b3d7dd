"""The time of day for the rules that depend on it; tests pass their own clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 text in UTC with microseconds; as text these sort like the moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp() -> str:
    """Return the present moment as RFC 3339 text."""
    return stamp(now())
