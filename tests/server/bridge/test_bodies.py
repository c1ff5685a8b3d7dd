"""The bodies of requests: read within their bounds and their time, and never mistaken for whole if they are cut."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.http.request_scope import RequestScope
from app.server import request_body
from app.server.request_body import MEMORY_BYTES, SpoolBudget
from app.server.wsgi_bridge import WSGIBridge
from tests.server.bridge.asgi import LIMIT_BYTES, Build, Client, Echo, respond, scope
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, LIMIT_BYTES])
def test_a_body_arrives_whole(build: Build, echo: Echo, size: int) -> None:
    body = bytes(size)
    parts = [body[at : at + 10_000] for at in range(0, size, 10_000)] or [b""]
    client = respond(build(echo), scope("POST", content_length=str(size)), Client(*parts))
    assert client.body == body
    assert client.headers == {b"X-Of": b"Echo", b"Content-Length": str(size).encode()}
    assert echo.closed == 1
    assert echo.environ["wsgi.input"].closed


def test_a_body_without_a_length_is_read_to_one_byte_over_the_limit(build: Build, echo: Echo) -> None:
    client = Client(*[bytes(MEMORY_BYTES)] * 10, leaves=True)
    respond(build(echo), scope("POST", transfer_encoding="chunked"), client)
    assert len(client.body) == LIMIT_BYTES + 1
    assert client.headers[b"connection"] == b"close"


def test_a_body_that_cannot_matter_is_discarded(build: Build, echo: Echo) -> None:
    client = respond(build(echo, limit=0), scope("POST", content_length="1"), Client(b"x"))
    assert (client.body, client.headers[b"connection"]) == (b"", b"close")
    assert client.messages == []


class Dripping(Client):
    """Sends a body without an end."""

    async def receive(self) -> Any:
        """Return the next byte."""
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"x", "more_body": True}


@pytest.mark.parametrize(
    ("pause_seconds", "max_seconds", "client"),
    [(0.01, MAX_WAIT_SECONDS, Client(b"x", ends=False)), (MAX_WAIT_SECONDS, 0.01, Dripping())],
    ids=["until a pause", "for a maximum"],
)
def test_a_refused_body_is_discarded(
    build: Build, echo: Echo, monkeypatch: pytest.MonkeyPatch, pause_seconds: float, max_seconds: float, client: Client
) -> None:
    monkeypatch.setattr(request_body, "DRAIN_PAUSE_SECONDS", pause_seconds)
    monkeypatch.setattr(request_body, "MAX_DRAIN_SECONDS", max_seconds)
    bridge, began = build(echo, limit=0), time.monotonic()
    respond(bridge, scope("POST", transfer_encoding="chunked"), client)
    assert [message.get("more_body", False) for message in client.sent] == [False, True, False]
    assert time.monotonic() - began < MAX_WAIT_SECONDS


@pytest.mark.parametrize(("seconds", "leaves"), [(0.01, False), (MAX_WAIT_SECONDS, True)])
def test_no_part_of_a_body_is_taken_for_the_whole(build: Build, echo: Echo, seconds: float, leaves: bool) -> None:
    client = Client(b"{}", ends=False, leaves=leaves)
    respond(build(echo, seconds), scope("POST", transfer_encoding="chunked"), client)
    assert client.status == 200
    assert isinstance(echo.failure, ValueError)


def test_a_body_that_the_service_asked_for_too_late_is_503(echo: Echo) -> None:
    """The client is not to blame where the service took most of the time before it read the body."""
    seconds = 0.2

    def body_limit(_: object) -> int:
        time.sleep(seconds * 0.6)
        return LIMIT_BYTES

    bridge = WSGIBridge(RequestScope(echo, seconds), seconds=seconds, body_limit=body_limit)
    client = respond(bridge, scope("POST", transfer_encoding="chunked"), Client(b"{}", ends=False))
    bridge.close()
    assert client.status == 503


def test_a_client_that_never_pauses_is_held_to_the_deadline(build: Build, echo: Echo) -> None:
    respond(build(echo, 0.1, limit=2**40), scope("POST", transfer_encoding="chunked"), Dripping())
    assert isinstance(echo.failure, ValueError)


@pytest.mark.parametrize(("spool_bytes", "expected"), [(2 * MEMORY_BYTES, 200), (2 * MEMORY_BYTES - 1, 503)])
def test_large_bodies_wait_for_room_until_the_deadline(
    build: Build, echo: Echo, spool_bytes: int, expected: int
) -> None:
    """There is room for one at a time, or for none."""
    seconds = MAX_WAIT_SECONDS if expected == 200 else 0.05
    bridge = build(RequestScope(echo, seconds), seconds, spool_bytes=spool_bytes)
    clients = [Client(*[bytes(MEMORY_BYTES)] * 2) for _ in range(3)]

    async def together() -> None:
        request = scope("POST", content_length=str(2 * MEMORY_BYTES))
        await asyncio.gather(*(bridge(request, client.receive, client.send) for client in clients))

    asyncio.run(together())
    assert [client.status for client in clients] == [expected] * 3


def test_a_small_body_needs_no_room(build: Build, echo: Echo) -> None:
    assert respond(build(echo, spool_bytes=0), scope("POST", content_length="2"), Client(b"{}")).body == b"{}"


def test_a_reservation_waits_for_a_release() -> None:
    async def reserve() -> None:
        budget = SpoolBudget(10)
        await budget.reserve(8)
        waiting = asyncio.create_task(budget.reserve(3))
        await budget.reserve(2)
        budget.release(1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        budget.release(2)
        await asyncio.wait_for(waiting, MAX_WAIT_SECONDS)

    asyncio.run(reserve())
