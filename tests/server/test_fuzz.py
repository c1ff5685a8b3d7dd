"""Mutated requests get a documented status, and never a 5xx.

DREAMSCRIPT_PROOF_MUTATIONS sets their number.
"""

from __future__ import annotations

import os
import random
import re
import socket
from collections import Counter

import pytest

from tests.server.live import Live
from tests.server.raw import RawClient, head, post
from tests.waiting import MAX_WAIT_SECONDS

MUTATIONS = int(os.environ.get("DREAMSCRIPT_PROOF_MUTATIONS", "200"))
STATUSES = {100, 200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 429}
TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b"\xff",
        b"\r\n\r\n",
        b"0\r\n\r\n",
        b"-1",
        b"99999999999999999999",
    ),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Host: y\r\n"),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"HTTP/1.0"),
    *(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"%00", b"http://", b"A" * 9_000),
)


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """A deadline as long as the client waits, so that a busy machine refuses nothing."""
    return {"DREAMSCRIPT_DEADLINE": str(MAX_WAIT_SECONDS)}


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return ``content`` after up to five small changes."""
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(content) + 1)
        end = at + chance.choice((0, 0, 1, 2, 10))
        insertion = chance.choice((b"", bytes([chance.randrange(256)]), chance.choice(TOKENS)))
        content = content[:at] + insertion + content[end:]
    return content


def test_mutated_requests_never_fail_the_service(live: Live, key: str) -> None:
    seed = random.randrange(2**32)
    chance, statuses = random.Random(seed), Counter[int]()
    body = b'{"title": "fuzz"}'
    requests = (
        post(key, len(body)) + body,
        post(key, None) + b"11\r\n" + body + b"\r\n0\r\nX-Trailer: y\r\n\r\n",
        head("GET", "/documents?limit=1", f"X-API-Key: {key}") * 2,
        post(key, len(body), "Expect: 100-continue", "Upgrade: h2c", "Connection: Upgrade") + body,
        head("GET", "/livez", "Connection: keep-alive", version="1.0") + head("HEAD", "/livez"),
    )
    for _ in range(MUTATIONS):
        content = mutate(chance.choice(requests), chance)
        half_closes = chance.random() < 0.9
        with RawClient(live) as client:
            try:
                client.sendall(content)
                if half_closes:
                    client.shutdown(socket.SHUT_WR)
                else:
                    client.settimeout(0.05)
                received = client.rest()
            except ConnectionError:
                continue
            except TimeoutError:
                assert not half_closes, (seed, content)
                continue
        received_statuses = [int(status) for status in re.findall(rb"^HTTP/1.1 (\d+)", received, re.MULTILINE)]
        assert STATUSES.issuperset(received_statuses), (seed, content, received)
        statuses.update(received_statuses)
    assert statuses[400]
    assert live.request("GET", "/livez")[0] == 200
    assert not [line for line in live.logged if "Traceback" in line], seed
