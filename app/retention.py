"""The retention of versions: for how long, and how many of each item (DREAMSCRIPT_HISTORY)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

FORM = re.compile(r"([1-9][0-9]{0,4})d/([1-9][0-9]{0,3})", re.ASCII)


@dataclass(frozen=True)
class Retention:
    """A version is deleted when it was superseded longer ago than ``age``, or when ``versions`` newer ones were."""

    age: timedelta
    versions: int

    @classmethod
    def parse(cls, text: str) -> Retention | None:
        """Return the retention that DREAMSCRIPT_HISTORY sets, None for off. Raises ValueError."""
        if text == "off":
            return None
        parts = FORM.fullmatch(text)
        if not parts:
            raise ValueError("days and a number of versions, from 1d/1 to 99999d/9999, such as 90d/100, or off")
        return cls(timedelta(days=int(parts[1])), int(parts[2]))
