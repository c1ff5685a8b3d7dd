"""The threads that carry out requests: taken up in time, carried out to the end, and awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from app.http.request_scope import RequestScope
from app.server.wsgi_bridge import THREADS
from tests.server.bridge.asgi import Build, Client, Echo, respond, scope
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase


def test_a_request_that_no_thread_takes_up_in_time_is_503_and_never_run(build: Build, echo: Echo) -> None:
    """The requests that occupy the threads pass the scope by, so that none of them can be too late."""
    seconds, release = 0.05, threading.Event()
    bounded: Callable[..., Iterable[bytes]] = RequestScope(echo, seconds)

    def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/slow":
            return bounded(environ, start_response)
        release.wait(MAX_WAIT_SECONDS)
        start_response("200 OK", [])
        return []

    bridge = build(wsgi, seconds)
    slow, late = [Client() for _ in range(THREADS)], [Client() for _ in range(2 * THREADS)]

    async def all_together() -> None:
        occupied = [asyncio.create_task(bridge(scope(path=b"/slow"), each.receive, each.send)) for each in slow]
        await asyncio.gather(*(bridge(scope(), each.receive, each.send) for each in late))
        release.set()
        await asyncio.gather(*occupied)

    asyncio.run(all_together())
    assert {client.status for client in slow} == {200}
    assert {client.status for client in late} == {503}
    assert echo.environ == {}
    assert late[0].headers[b"Retry-After"] == b"1"
    assert late[0].headers[b"X-Request-ID"] in late[0].body


def test_a_failure_outside_of_flask_is_500_in_the_error_shape(build: Build) -> None:
    client = respond(build(lambda *_: 1 / 0), scope())
    assert client.status == 500
    assert b'"internal_server_error"' in client.body


def test_a_cancelled_request_is_still_carried_out(build: Build, echo: Echo) -> None:
    begun, release = threading.Event(), threading.Event()

    def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        begun.set()
        release.wait(MAX_WAIT_SECONDS)
        return echo(environ, start_response)

    bridge = build(wsgi)

    async def give_up() -> None:
        client = Client(b"all")
        task = asyncio.create_task(bridge(scope("POST", content_length="3"), client.receive, client.send))
        await asyncio.to_thread(begun.wait, MAX_WAIT_SECONDS)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        release.set()

    asyncio.run(give_up())
    bridge.close()
    assert (echo.closed, echo.failure) == (1, None)


def test_the_end_waits_for_threads_and_then_closes(build: Build) -> None:
    order: list[str] = []
    begun, release = threading.Event(), threading.Event()

    def slow(_: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        begun.set()
        release.wait(MAX_WAIT_SECONDS)
        order.append("thread")
        start_response("200 OK", [])
        return []

    bridge = build(slow, close=lambda: order.append("closed"))
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Any:
        message = next(messages)
        if message["type"] == "lifespan.shutdown":
            threading.Timer(0.05, release.set).start()
        return message

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def live() -> None:
        request = asyncio.create_task(bridge(scope(), Client().receive, Client().send))
        await asyncio.to_thread(begun.wait, MAX_WAIT_SECONDS)
        await bridge({"type": "lifespan"}, receive, send)
        await request

    asyncio.run(live())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert order[:2] == ["thread", "closed"]
