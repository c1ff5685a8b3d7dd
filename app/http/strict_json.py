"""Parses JSON once and strictly: what two parsers could read differently is refused (RFC 8259)."""

from __future__ import annotations

import gc
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from app.errors import InvalidJSON

MAX_DEPTH = 20
MAX_INTEGER = 2**53 - 1
# A text, of which nothing is tried twice, which would take memory for each escape.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
# Whether brackets hold members or elements does not matter for how deep they are.
AS_ROUND = bytes.maketrans(b"[]{}", b"()()")
NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Bytes of a body of which the collector would look through the beginning again and again while the rest is read.
LARGE = 2**18


def parse(content: bytes) -> Any:
    """Return the JSON value that ``content`` holds.

    Raises InvalidJSON for anything but UTF-8 without a byte order mark, for duplicate members, NaN and Infinity,
    lone surrogates, NUL characters, nesting deeper than 20 and integers beyond 2^53-1.
    """
    try:
        with _no_collection() if len(content) > LARGE else nullcontext():
            value = json.loads(
                content.decode("utf-8"),
                object_pairs_hook=_object,
                parse_int=_integer,
                parse_float=_float,
                parse_constant=_constant,
            )
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    except json.JSONDecodeError as error:
        raise InvalidJSON(_position(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    _require_shallow(content)
    # Only an escape can bring what UTF-8 and the parser have let pass.
    if b"\\u" in content:
        _check_texts(value)
    return value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector still; JSON has no cycles.

    Of several threads, the first to end lets it go on: whoever put back what it had found might leave it off for good.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _position(error: json.JSONDecodeError) -> str:
    if error.doc.startswith("\ufeff"):
        return "The body begins with a byte order mark."
    return f"The body is not valid JSON: line {error.lineno}, column {error.colno}."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidJSON(f"The member {json.dumps(twice[:100])} is there more than once.")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise InvalidJSON("A number is beyond 2^53-1, which JSON clients cannot hold exactly.")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise InvalidJSON("A number is too large.")
    return value


def _constant(text: str) -> NoReturn:
    raise InvalidJSON(f"{text} is not JSON.")


def _require_shallow(content: bytes) -> None:
    """Raise if valid JSON is nested too deep: each round takes away what is innermost."""
    brackets = STRING.sub(b"", content).translate(AS_ROUND, NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"()", b"")
    if brackets:
        raise _too_deep()


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else ():
            _check_text(name)
        for member in value.values() if isinstance(value, dict) else value:
            _check_texts(member)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidJSON("A text holds a NUL character.")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidJSON("A text holds half of a surrogate pair.")


def _too_deep() -> InvalidJSON:
    return InvalidJSON(f"The body is nested deeper than {MAX_DEPTH}.")
