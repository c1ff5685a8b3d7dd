"""What a row of measurements comes to, and the table that shows it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.wrk import Load

# A smaller share of the writes that should go on is another measurement.
KEPT = 0.9
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
    """One side's part of a round: its load, and the CPU seconds that the service and CouchDB used meanwhile.

    ``pace`` is the share of the writes that should have gone on beside it and did.
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
        """How many times as many requests the service answered."""
        return self.service.load.rate / self.couchdb.load.rate


def cells(work: str, goal: float | None, rounds: Sequence[Round]) -> list[str]:
    """Return the row of the table that ``rounds`` come to; all in it are medians."""
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
    """Tell whether a goal is reached, which it is not where the service could not keep up with the writes."""
    behind = f", {pace:.0%} of the writes" if pace < KEPT else ""
    if goal is None:
        return f"–{behind}"
    return f"{'yes' if ratio >= goal and not behind else 'no'}{behind}"


def _pair(form: str, *values: float) -> str:
    return " / ".join(f"{value:{form}}" for value in values)


def _micros(seconds: Sequence[float], sides: Sequence[Side]) -> str:
    """Return the median of microseconds in a request."""
    used = [1e6 * spent / side.load.requests for spent, side in zip(seconds, sides, strict=True)]
    return f"{statistics.median(used):.0f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of text, the first of them the header, as Markdown that also reads well as it is."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in padded]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def is_flat(samples: Sequence[float]) -> bool:
    """Tell whether the last of ``samples`` is within a tenth of the one in the middle."""
    middle = samples[(len(samples) - 1) // 2]
    return abs(samples[-1] - middle) <= middle / 10
