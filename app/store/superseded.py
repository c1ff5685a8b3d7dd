"""Finds the versions of one item that are past their retention; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from app.store.version import Version


def may_be_due(versions: Sequence[Version], limit: int, not_before: str) -> bool:
    """Return whether any of the versions can be due, without the live leaves of the item."""
    return len(versions) > limit or any(each.updated_at is None or each.updated_at < not_before for each in versions)


def due_versions(versions: Sequence[Version], live: Sequence[str], limit: int, not_before: str) -> list[Version]:
    """Return those of all stored versions of an item that go, oldest first. ``live`` are its live leaves.

    A version goes when it was superseded before ``not_before``, an RFC 3339 time, or when ``limit`` newer ones were
    superseded. The current one stays, as all do while several are live. One stays with its successor if only the two
    together show that the successor was not written through the API.
    """
    whole = {version.revision: version for version in versions if not version.is_lost}
    known = {version.revision: version for version in versions} | whole
    due = [version for version in versions if version.is_lost and version.revision in whole]
    if len(live) > 1:
        return due
    newest_first = sorted(known.values(), key=lambda version: version.order, reverse=True)
    current = live[0] if live else _last_deletion(newest_first)
    children = _children(newest_first)
    times = _superseded_times(newest_first, children, current)
    superseded = [version for version in newest_first if version.revision != current]
    going = _past_retention(superseded, times, limit, not_before)
    staying = known.keys() - {version.revision for version in going}
    return due + [
        version
        for version in reversed(going)
        if version.nonce is None
        or not any(each.nonce == version.nonce and each.revision in staying for each in children[version.revision])
    ]


def _past_retention(
    newest_first: Sequence[Version], times: Mapping[str, str | None], limit: int, not_before: str
) -> list[Version]:
    """Return those superseded versions that are too old, or that come after ``limit`` others, newest first."""
    count = 0
    going: list[Version] = []
    for version in newest_first:
        time = times[version.revision]
        if count >= limit or (time is not None and time < not_before):
            going.append(version)
        else:
            count += not version.is_merged_away
    return going


def _last_deletion(newest_first: Sequence[Version]) -> str | None:
    """Return the revision that deleted the item, or the newest one if the deletion is not captured yet."""
    deletions = [each for each in newest_first if each.is_deleted and not each.is_merged_away]
    return next((version.revision for version in (*deletions, *newest_first)), None)


def _children(versions: Iterable[Version]) -> Mapping[str, list[Version]]:
    """Return by revision the versions that were made from it."""
    children: dict[str, list[Version]] = defaultdict(list)
    for version in versions:
        for parent in version.parents:
            children[parent].append(version)
    return children


def _superseded_times(
    newest_first: Sequence[Version], children: Mapping[str, Sequence[Version]], current: str | None
) -> dict[str, str | None]:
    """Return by revision when each version was superseded, None if that is not known.

    An edit in Fauxton keeps the time and the nonce of the version before it, and shows no time of its own. Where the
    successor is not stored, or shows none, the time of a later version stands for it.
    """
    times: dict[str, str | None] = {}
    later: str | None = None
    for version in newest_first:
        successors = children[version.revision]
        own = [each.updated_at for each in successors if each.updated_at and each.nonce != version.nonce]
        inherited = [time for time in (times.get(each.revision) for each in successors) if time]
        if version.revision == current:
            times[version.revision] = None
        elif version.is_merged_away:
            times[version.revision] = version.updated_at
        else:
            times[version.revision] = max(own or inherited, default=None if successors else later)
        later = version.updated_at or later
    return times
