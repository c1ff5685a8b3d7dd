"""Shows the versions of an item as text: members that were merged, and clashes in the style of `git merge`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

INDENT = "  "
ABSENT = "(absent)"


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of open conflicts."""
    cells = [("TYPE", "ID", "REASON", "CURRENT VERSION")]
    cells += [(row["type"], str(row["id"]), row["reason"], row["etag"].strip('"')) for row in rows]
    widths = [max(len(each[column]) for each in cells) for column in range(len(cells[0]))]
    for each in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)).rstrip()


def versions(name: str, public_id: int, view: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that show the described conflict of an item, and the command that resolves it."""
    state = view["reason"] or ("the versions will be merged" if view["pending"] else "no conflict")
    yield f"{name} {public_id}: {state}"
    for number, version in enumerate(view["versions"]):
        yield f"{INDENT}{_version(version)}{'' if number else ' (current)'}"
    if view["merge"]:
        for member, outcome in view["merge"].items():
            yield from _member(member, outcome)
    else:
        for version in view["versions"]:
            yield f"{_bare(version['etag'])}:"
            yield from (f"{INDENT}{member}: {_inline(value)}" for member, value in version["value"].items())
    if len(view["versions"]) > 1:
        yield from _commands(name, public_id, view["versions"])


def _version(version: Mapping[str, Any]) -> str:
    at, by = version["updated_at"], version["updated_by"]
    written = f" of {at[:10]} {at[11:16]}Z" if at else ""
    return f"version {_bare(version['etag'])}{written}{f' by {_printable(by)}' if by else ''}"


def _commands(name: str, public_id: int, rows: list[Mapping[str, Any]]) -> Iterator[str]:
    tags = [_bare(version["etag"]) for version in rows]
    command = f"python -m app conflicts resolve {name} {public_id} --supersedes {' '.join(tags)}"
    yield "To keep one of the versions, or to store a new one from a file of JSON:"
    yield f"{INDENT}{command} --keep {tags[0]}"
    yield f"{INDENT}{command} --value FILE"


def _member(member: str, outcome: Mapping[str, Any]) -> Iterator[str]:
    if outcome["state"] == "clean":
        if "value" in outcome:
            yield f"{member}: {_inline(outcome['value'])}"
        return
    yield f"{member}:"
    for hunk in outcome["hunks"]:
        lines = _lines(hunk["merged"]) if "merged" in hunk else _clash(hunk)
        yield from (INDENT + line for line in lines)


def _clash(hunk: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of a hunk: the first version, the base, and each further version."""
    (first, part), *others = hunk["versions"].items()
    yield f"<<<<<<< {_bare(first)}"
    yield from _lines(part)
    yield "||||||| base"
    yield from _lines(hunk["base"])
    for tag, other in others:
        yield "======="
        yield from _lines(other)
        yield f">>>>>>> {_bare(tag)}"


def _lines(value: object) -> list[str]:
    if not isinstance(value, str):
        return [ABSENT if value is None else str(value)]
    return [_printable(line) for line in value.splitlines()]


def _inline(value: object) -> str:
    return _printable(json.dumps(value, ensure_ascii=False))


def _printable(text: str) -> str:
    """Return a text without the control characters that a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _bare(etag: str) -> str:
    return etag.strip('"')
