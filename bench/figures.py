"""Summarise the measurements of a row, and print them as a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.wrk import Load

# With a smaller share of the background writes the round measures something else.
MIN_PACE = 0.9
HEADER = (
    "work",
    "service / CouchDB (lowest to highest)",
    "goal",
    "reached",
    "requests/s",
    "p50, ms",
    "p99, ms",
    "CPU, µs/request: service + its CouchDB",
    "CouchDB alone",
)


@dataclass(frozen=True)
class Side:
    """One side's part of a round: its load, and the CPU seconds of the service and CouchDB.

    ``pace`` is the share of the intended background writes that were made.
    """

    load: Load
    service: float
    database: float
    pace: float = 1.0


@dataclass(frozen=True)
class Round:
    """The same work done through the service and by CouchDB alone, one right after the other."""

    service: Side
    couchdb: Side

    @property
    def ratio(self) -> float:
        """Requests answered by the service, divided by those of CouchDB."""
        return self.service.load.rate / self.couchdb.load.rate


def cells(work: str, goal: float | None, rounds: Sequence[Round]) -> list[str]:
    """Return the table row of ``rounds``, with medians."""
    ratios = [one.ratio for one in rounds]
    ratio = statistics.median(ratios)
    ours, theirs = [one.service for one in rounds], [one.couchdb for one in rounds]
    return [
        work,
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "–" if goal is None else f"{goal:g}",
        _reached(ratio, goal, min(side.pace for side in ours)),
        _pair(".1f", *(statistics.median(side.load.rate for side in sides) for sides in (ours, theirs))),
        _pair(".2f", *(1000 * statistics.median(side.load.p50 for side in sides) for sides in (ours, theirs))),
        _pair(".2f", *(1000 * statistics.median(side.load.p99 for side in sides) for sides in (ours, theirs))),
        f"{_micros([side.service for side in ours], ours)} + {_micros([side.database for side in ours], ours)}",
        _micros([side.database for side in theirs], theirs),
    ]


def _reached(ratio: float, goal: float | None, pace: float) -> str:
    """Return whether the goal is reached. It is not if the service could not keep up with the writes."""
    behind = f", {pace:.0%} of the writes" if pace < MIN_PACE else ""
    if goal is None:
        return f"–{behind}"
    return f"{'yes' if ratio >= goal and not behind else 'no'}{behind}"


def _pair(form: str, *values: float) -> str:
    return " / ".join(f"{value:{form}}" for value in values)


def _micros(seconds: Sequence[float], sides: Sequence[Side]) -> str:
    """Return the median of the microseconds per request."""
    used = [1e6 * spent / side.load.requests for spent, side in zip(seconds, sides, strict=True)]
    return f"{statistics.median(used):.0f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text, the header first, as an aligned Markdown table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def is_flat(samples: Sequence[float]) -> bool:
    """Return whether the last of ``samples`` is within a tenth of the one in the middle."""
    middle = samples[(len(samples) - 1) // 2]
    return abs(samples[-1] - middle) <= middle / 10
