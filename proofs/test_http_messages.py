"""The messages that the fault proxy reads: where each one ends."""

from __future__ import annotations

import io

import pytest

from proofs.http_messages import message

pytestmark = pytest.mark.nodatabase

CHUNKED = b'HTTP/1.1 201 As Told\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n'


@pytest.mark.parametrize(
    ("raw", "answers"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"PUT / HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", None),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "GET"),
        (CHUNKED, "GET"),
    ],
)
def test_the_end_of_a_message_is_known(raw: bytes, answers: str | None) -> None:
    reader = io.BufferedReader(io.BytesIO(raw + b"next"))
    assert b"".join(message(reader, answers)) == raw
    assert reader.read() == b"next"


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 200 OK\r\nX: y", CHUNKED[:-2], CHUNKED[:-12]])
def test_an_end_that_is_not_marked_is_none(raw: bytes) -> None:
    with pytest.raises(ConnectionError):
        list(message(io.BytesIO(raw), "GET"))


def test_at_the_end_of_a_connection_an_answer_is_missing_and_a_request_is_not() -> None:
    assert list(message(io.BytesIO())) == []
    with pytest.raises(ConnectionError):
        list(message(io.BytesIO(), "GET"))
