"""Parses JSON once and strictly: a body that two parsers could read differently is refused (RFC 8259)."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from itertools import accumulate
from threading import BoundedSemaphore
from typing import Any, NoReturn

from app.errors import InvalidJSON, Unavailable
from app.request_context import remaining

MAX_DEPTH = 20
MAX_INTEGER = 2**53 - 1
# A batch of 1,000 operations has about 10,000 values; each value costs a parser some hundred bytes of memory.
MAX_VALUES = 100_000
# A string, up to the end of the body if it is not closed. Possessive, so that no input takes more than one pass.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
DEPTH_CHANGES = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# Larger bodies are parsed by two threads of a process at most, which bounds the memory that they take together.
LARGE_BYTES = 2**18
_LARGE_PARSES = BoundedSemaphore(2)


def parse(content: bytes) -> Any:
    """Return the JSON value that ``content`` holds.

    Raises InvalidJSON for anything but UTF-8 without a byte order mark, for duplicate members, NaN and Infinity,
    lone surrogates, NUL characters, nesting deeper than 20, more than 100,000 values and integers beyond 2^53-1, and
    Unavailable if other large bodies kept this one from being parsed within the request's deadline.
    """
    if len(content) <= LARGE_BYTES:
        return _parse(content)
    seconds = remaining()
    if not _LARGE_PARSES.acquire(timeout=None if seconds is None else max(0.0, seconds)):
        raise Unavailable("The service is busy; try again later.")
    try:
        return _parse(content)
    finally:
        _LARGE_PARSES.release()


def _parse(content: bytes) -> Any:
    _check_size(content)
    try:
        value = DECODER.decode(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"The body is not UTF-8: byte {error.start} is wrong.") from error
    except json.JSONDecodeError as error:
        raise InvalidJSON(_position(error)) from error
    # UTF-8 and the parser refuse the rest; only an escape can bring these in.
    if b"\\u" in content:
        _check_texts(value)
    return value


def _check_size(content: bytes) -> None:
    """Refuse too many values and too deep nesting in one scan, before a parser allocates memory for them.

    A short body with few brackets cannot have them, and needs no scan.
    """
    if len(content) <= MAX_VALUES and content.count(b"[") + content.count(b"{") <= MAX_DEPTH:
        return
    structure, strings = STRING.subn(b"", content, count=2 * MAX_VALUES)
    brackets = structure.translate(None, NOT_BRACKETS)
    values = structure.count(b",") + structure.count(b"[") + structure.count(b"{")
    if strings == 2 * MAX_VALUES or values > MAX_VALUES or len(brackets) > 2 * MAX_VALUES:
        depth = max(accumulate(map(DEPTH_CHANGES.__getitem__, brackets[:MAX_VALUES])), default=0)
        raise _too_deep() if depth > MAX_DEPTH else InvalidJSON(f"The body holds more than {MAX_VALUES:,} values.")
    if max(accumulate(map(DEPTH_CHANGES.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise _too_deep()


def _position(error: json.JSONDecodeError) -> str:
    if error.doc.startswith("\ufeff"):
        return "The body begins with a byte order mark."
    return f"The body is not valid JSON: line {error.lineno}, column {error.colno}."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        duplicate = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidJSON(f"The member {json.dumps(duplicate[:100])} is given more than once.")
    return members


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


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)
