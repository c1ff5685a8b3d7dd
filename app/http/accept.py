"""Reads the header Accept: media ranges and their weights (RFC 9110, section 12.5.1), as lax clients write them too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.request import parse_http_list

PARAMETER = re.compile(r';[ \t]*([^=;"\s]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^;]*)')
# Older Java sends `q=.2`.
WEIGHT = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


def quality(accept: str | None, media_type: str) -> float:
    """Return the weight of ``media_type``, 0 if it is not accepted. An absent or empty header accepts everything.

    The most specific range decides; its parameters, such as a charset, are ignored.
    """
    ranges = list(media_ranges(accept or ""))
    if not ranges:
        return 1.0
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        weights = [weight for media_range, weight in ranges if media_range == pattern]
        if weights:
            return max(weights)
    return 0.0


def media_ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each media range in lower case, and its weight. `*` alone, which older Java sends, means `*/*`."""
    for element in parse_http_list(accept):
        media_range = element.partition(";")[0].strip().lower()
        if media_range:
            weights = (text for name, text in PARAMETER.findall(element) if name.lower() == "q")
            yield "*/*" if media_range == "*" else media_range, weight(next(weights, ""))


def weight(text: str) -> float:
    """Return the weight in the text of a parameter; one that is missing or no number counts as 1."""
    number = text.strip(' \t"')
    return min(float(number), 1.0) if WEIGHT.fullmatch(number) else 1.0
