"""How a public id becomes part of an `_id`, so that `_id`s sort as text like the numbers do."""

from __future__ import annotations

# JSON numbers are exact up to here in every client (RFC 8259, section 6).
MAX_ID = 2**53 - 1


def digits(number: int) -> str:
    """Return ``number`` as 16 digits."""
    return f"{number:016d}"
