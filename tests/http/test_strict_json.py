"""JSON that two parsers could read differently is refused, for arbitrary bytes."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidJSON, Unavailable
from app.http.strict_json import _LARGE_PARSES, LARGE_BYTES, MAX_INTEGER, MAX_VALUES, parse
from app.request_context import request_context

pytestmark = pytest.mark.nodatabase

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_valid_json_is_parsed(value: Any) -> None:
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value
    assert parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse(content)
    except InvalidJSON as error:
        assert error.reason.endswith(".")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "line 1, column 1"),
        (b'{"a":', "not valid JSON"),
        (b"{'a': 1}", "line 1, column 2"),
        (b"[1,]", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\x80"', "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 1}', '"a" is given more than once'),
        (b'[{"x": {"a": 1, "\\u0061": 2}}]', '"a" is given more than once'),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b"1e400", "too large"),
        (b"-1e400", "too large"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b'"\\ude00\\ud83d"', "surrogate"),
        (b'"a\\u0000"', "NUL"),
        (b'{"\\u0000": 1}', "NUL"),
        (b"9007199254740992", "2^53-1"),
        (b"-9007199254740992", "2^53-1"),
        (b"[" + b"9" * 400 + b"]", "2^53-1"),
        (b"9" * 5_000, "2^53-1"),
        (b"[" * 21 + b"]" * 21, "deeper than 20"),
        (b'{"a":' * 21 + b"1" + b"}" * 21, "deeper than 20"),
        (b"[" * 100_000, "deeper than 20"),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 20"),
    ],
)
def test_invalid_json_is_refused_with_a_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidJSON, match=reason.replace("^", r"\^")):
        parse(content)


def test_the_limits_themselves_are_allowed() -> None:
    assert parse(b"9007199254740991") == MAX_INTEGER
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"
    deepest = b"[" * 20 + b"]" * 20
    assert json.dumps(parse(deepest)).encode() == deepest


@pytest.mark.parametrize(
    "content",
    [
        b'["' + b"[" * 30 + b'"]',
        rb'["\"' + b"{[" * 30 + rb'\\", "' + b"[" * 30 + b'"]',
        b'{"' + b"[" * 30 + b'": {}}',
        b'{"a":[' * 10 + b"]}" * 10,
        b"[" + b",".join([b"[" * 19 + b"]" * 19] * 3) + b"]",
    ],
)
def test_depth_counts_brackets_outside_of_strings(content: bytes) -> None:
    assert parse(content) == json.loads(content)
    with pytest.raises(InvalidJSON, match="deeper than 20"):
        parse(b"[" * 20 + content + b"]" * 20)


@pytest.mark.parametrize(
    "content",
    [
        b"[" + b"[]," * 2_800_000 + b"[]]",
        b"[" + b'"",' * 2_800_000 + b'""]',
        b"{" + b'"a":1,' * 1_400_000 + b'"a":1}',
        b"]" * 8_000_000,
        b'"' + rb"\"" * 4_000_000,
        b'["' + rb'\\","' * 1_600_000,
    ],
    ids=["lists", "strings", "members", "closing brackets", "an open string of quotes", "strings of backslashes"],
)
def test_a_parsing_bomb_is_refused_before_it_takes_memory(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidJSON):
            parse(content)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(content)
    finally:
        tracemalloc.stop()


def test_as_many_values_as_allowed_are_parsed() -> None:
    content = b"[" + b"1," * (MAX_VALUES - 2) + b"1]"
    assert len(parse(content)) == MAX_VALUES - 1
    with pytest.raises(InvalidJSON, match="more than 100,000 values"):
        parse(b"[1,1," + content[1:])


def test_values_inside_a_string_are_not_counted() -> None:
    content = b'"' + b"[,]," * MAX_VALUES + b'"'
    assert len(parse(content)) == 4 * MAX_VALUES


def test_a_third_large_body_waits_for_one_of_two_until_its_deadline() -> None:
    large = b'"' + b"x" * LARGE_BYTES + b'"'
    with _LARGE_PARSES, _LARGE_PARSES, request_context(request_id="r", seconds=0.01), pytest.raises(Unavailable):
        parse(large)
    assert parse(large) == "x" * LARGE_BYTES


def test_a_text_of_nothing_but_escapes_takes_little_memory() -> None:
    content = b'"' + rb"\n" * 2**19 + b'"'
    tracemalloc.start()
    try:
        assert parse(content) == "\n" * 2**19
        assert tracemalloc.get_traced_memory()[1] < 8 * len(content)
    finally:
        tracemalloc.stop()
