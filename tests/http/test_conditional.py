"""Entity tags are compared as RFC 9110 says, and as proxies leave them."""

from __future__ import annotations

import pytest

from app.http.answers import tags, tags_or_bare

pytestmark = pytest.mark.nodatabase

CODINGS = (
    *(
        "-gzip",
        "-br",
        "-zstd",
        "-deflate",
        "-compress",
        "-x-gzip",
        "-dcb",
        "-dcz",
        "-bzip2",
        "-x-bzip2",
        "--gzip",
        "--br",
        "--zstd",
        "--deflate",
    ),
    *(";gzip", ";br", ";zstd", ";deflate", "+gzip", ":gzip", ".gzip", "-GZIP", "-gzip-br", "-gzip--gzip", "-br;gzip"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("*", {"*"}),
        ('"1-a"', {"1-a"}),
        ('W/"1-a"', {"1-a"}),
        ('"1-a-gzip"', {"1-a"}),
        *((f'"1-a{coding}"', {"1-a"}) for coding in CODINGS),
        *((f'W/"1-a{coding}"', {"1-a"}) for coding in CODINGS),
        ('"1-abr", "1-gzip-a", "gzip", "1-a-identity", "1-a-"', {"1-abr", "1-gzip-a", "gzip", "1-a-identity", "1-a-"}),
        ('W/"1-a-gzip"', {"1-a"}),
        ('"1-a", "2-b"', {"1-a", "2-b"}),
        ('"1-a" ,W/"2-b-gzip",', {"1-a", "2-b"}),
        ("1-a", set()),
        ('"1-a', set()),
        ('"*"', set()),
        ('"a" W/"1-a"', set()),
    ],
)
def test_tags_are_read_without_additions_of_proxies(text: str, expected: set[str]) -> None:
    assert tags(text) == expected


@pytest.mark.parametrize("text", ["1-a", '"1-a"', "W/1-a", 'W/"1-a-br"', *(f"1-a{coding}" for coding in CODINGS)])
def test_the_tag_of_an_operation_in_a_batch_may_be_bare(text: str) -> None:
    assert tags_or_bare(text) == {"1-a"}


def test_a_long_header_costs_no_more_than_its_length() -> None:
    """A pattern with backtracking would take hours."""
    assert tags("x" + " " * 1_000_000 + "x") == set()
    assert tags('"' * 1_000_001) == set()
    assert len(tags(f'"{"-gzip" * 200_000}x"')) == 1
