"""The bridge by itself: the WSGI environment, bodies within their bounds, and threads within their time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from app.http.request_scope import RequestScope
from app.server import request_body
from app.server.environ import MAX_CACHED_NAMES, cgi_name, wsgi_environ
from app.server.request_body import MEMORY_BYTES, SpoolBudget
from app.server.wsgi_bridge import THREADS, WSGIBridge
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase

LIMIT_BYTES = 4 * MEMORY_BYTES


def scope(method: str = "GET", path: bytes = b"/", query: bytes = b"", **headers: str) -> dict[str, Any]:
    """Return an ASGI scope; ``x_y="z"`` is the header X-Y."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "raw_path": path,
        "query_string": query,
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.2", 81),
        "state": {},
    }


class Client:
    """Sends a body in parts, then waits or leaves, and keeps the messages of the response."""

    def __init__(self, *parts: bytes, leaves: bool = False, ends: bool = True) -> None:
        self.messages: list[Any] = [
            {"type": "http.request", "body": part, "more_body": not ends or at < len(parts)}
            for at, part in enumerate(parts, 1)
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        """Return the next part, if there is one."""
        return self.messages.pop(0) if self.messages else await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        """Keep a message."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The headers of the response."""
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        """The body of the response."""
        return b"".join(message["body"] for message in self.sent[1:])


class Echo:
    """A WSGI application that responds with the request's body, and keeps the environment."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}
        self.failure: Exception | None = None
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        self.environ = environ
        start_response("200 OK", [("X-Of", "Echo")])
        try:
            self._content = [environ["wsgi.input"].read()]
        except ValueError as error:
            self.failure, self._content = error, []
        return self

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._content:
            raise StopIteration
        content: bytes = self._content.pop()
        return content

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.fixture
def echo() -> Echo:
    """An application."""
    return Echo()


Build = Callable[..., WSGIBridge]


@pytest.fixture
def build() -> Iterator[Build]:
    """Build bridges, which are closed at the end."""
    bridges: list[WSGIBridge] = []

    def bridge(wsgi: Any, seconds: float = MAX_WAIT_SECONDS, limit: int = LIMIT_BYTES, **options: Any) -> WSGIBridge:
        bridges.append(WSGIBridge(wsgi, seconds=seconds, body_limit=lambda _: limit, **options))
        return bridges[-1]

    yield bridge
    for each in bridges:
        each.close()


def respond(bridge: WSGIBridge, request: dict[str, Any], client: Client | None = None) -> Client:
    """Return the client when it has its response."""
    client = client or Client()
    asyncio.run(bridge(request, client.receive, client.send))
    return client


def test_the_path_is_decoded_and_repeated_headers_are_joined() -> None:
    request = scope(path=b"/a%2Fb%C3%A9", query=b"x=%31", content_type="a/b", content_length="3", x_one="\xe9")
    request["headers"] += [(b"x-one", b"2"), (b"cookie", b"c")]
    environ = wsgi_environ(request)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == ("/a/b\xc3\xa9", "x=%31")
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["HTTP_X_ONE"]) == ("a/b", "3", "\xe9,2")
    assert "HTTP_HOST" not in environ
    origin = (environ["REMOTE_ADDR"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"])
    assert origin == ("127.0.0.2", "80", "HTTP/1.1")


def test_clients_cannot_fill_the_memory_with_names() -> None:
    for number in range(2 * MAX_CACHED_NAMES):
        cgi_name(b"x-%d" % number)
    assert cgi_name.cache_info().currsize == MAX_CACHED_NAMES


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
