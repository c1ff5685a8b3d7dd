"""The gateway by itself: what it tells the application of a request, and who waits for whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gunicorn.asgi.protocol import ASGIProtocol

from app.cache.response_cache import CachedResponse
from app.http.request_scope import RequestScope
from app.request_context import STARTED
from app.server import worker
from app.server.environ import MOST_NAMES, variable, wsgi_environ
from app.server.wsgi_bridge import IN_MEMORY, THREADS, Gateway

pytestmark = pytest.mark.nodatabase

LARGEST = 4 * IN_MEMORY
PATIENCE = 60.0


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
    }


class Client:
    """Sends a body in parts, after which it waits or leaves, and keeps what it is answered."""

    def __init__(self, *parts: bytes, leaves: bool = False, ends: bool = True) -> None:
        self.messages: list[Any] = [
            {"type": "http.request", "body": part, "more_body": not ends or at < len(parts)}
            for at, part in enumerate(parts, 1)
        ]
        if leaves:
            self.messages.append({"type": "http.disconnect"})
        self.answers: list[Any] = []

    async def receive(self) -> Any:
        """Return the next part, if there ever is one."""
        return self.messages.pop(0) if self.messages else await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        """Keep a part of the answer."""
        self.answers.append(message)

    @property
    def status(self) -> int:
        """The status of the answer."""
        status: int = self.answers[0]["status"]
        return status


def ask(gateway: Gateway, request: dict[str, Any], client: Client | None = None) -> Client:
    """Return the client when it has been answered."""
    client = client or Client()
    asyncio.run(gateway(request, client.receive, client.send))
    return client


class Echo:
    """A WSGI application that answers with the body, and keeps the environment."""

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


@pytest.fixture
def gateway(echo: Echo) -> Iterator[Gateway]:
    """A gateway in front of it."""
    made = Gateway(echo, seconds=PATIENCE, largest=LARGEST)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (b"/a%2Fb%C3%A9", b"x=%31", ("/a/b\xc3\xa9", "x=%31")),
        (b"//a", b"", ("//a", "")),
        (b"//a#c", b"", ("//a", "")),
        (b"/a", b"b#c", ("/a", "b")),
        (b"http://host", b"", ("", "")),
        (b"http://host/%61", b"b=c", ("/a", "b=c")),
        (b"*", b"", ("*", "")),
    ],
)
def test_the_target_is_split_and_its_path_decoded(path: bytes, query: bytes, expected: tuple[str, str]) -> None:
    environ = wsgi_environ(scope(path=path, query=query))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == expected


def test_headers_become_variables_and_repeated_ones_are_joined() -> None:
    request = scope(content_type="a/b", content_length="3", x_one="\xe9")
    request["headers"] += [(b"x-one", b"2"), (b"cookie", b"c")]
    environ = wsgi_environ(request)
    assert (environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"], environ["HTTP_X_ONE"]) == ("a/b", "3", "\xe9,2")
    assert "HTTP_HOST" not in environ
    assert (environ["REMOTE_ADDR"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"]) == (
        "127.0.0.2",
        "80",
        "HTTP/1.1",
    )


def test_clients_cannot_fill_the_memory_with_names() -> None:
    for number in range(2 * MOST_NAMES):
        variable(b"x-%d" % number)
    assert variable.cache_info().currsize == MOST_NAMES


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, IN_MEMORY + 1, LARGEST])
def test_a_body_arrives_whole(gateway: Gateway, echo: Echo, size: int) -> None:
    body = bytes(size)
    parts = [body[at : at + 10_000] for at in range(0, size, 10_000)] or [b""]
    client = ask(gateway, scope("POST", content_length=str(size)), Client(*parts))
    assert client.answers[1]["body"] == body
    assert client.answers[0]["headers"] == [(b"X-Of", b"Echo")]
    assert echo.closed == 1
    assert echo.environ["wsgi.input"].closed


def test_of_a_body_without_a_length_no_more_is_read_than_may_be_used(gateway: Gateway) -> None:
    client = Client(*[bytes(IN_MEMORY)] * 10, leaves=True)
    ask(gateway, scope("POST", transfer_encoding="chunked"), client)
    assert len(client.answers[1]["body"]) == LARGEST + IN_MEMORY


def test_a_body_that_says_it_is_too_large_is_not_read_before_the_answer(gateway: Gateway) -> None:
    client = ask(gateway, scope("POST", content_length=str(LARGEST + 1)), Client(b"x"))
    assert client.answers[1]["body"] == b""
    assert client.messages == []


@pytest.mark.parametrize(("seconds", "leaves"), [(0.01, False), (PATIENCE, True)])
def test_no_part_of_a_body_is_taken_for_the_whole(echo: Echo, seconds: float, leaves: bool) -> None:
    gateway = Gateway(echo, seconds=seconds, largest=LARGEST)
    client = ask(gateway, scope("POST", transfer_encoding="chunked"), Client(b"{}", ends=False, leaves=leaves))
    assert client.status == 200
    assert isinstance(echo.failure, ValueError)
    gateway.close()


def test_what_is_answered_quickly_reaches_neither_a_thread_nor_the_application(echo: Echo) -> None:
    def quick(environ: dict[str, Any]) -> CachedResponse | None:
        found = CachedResponse(200, [("ETag", '"1"')], threading.current_thread().name.encode())
        return found if environ["PATH_INFO"] == "/quick" and STARTED in environ else None

    gateway = Gateway(echo, seconds=PATIENCE, largest=LARGEST, quick=quick)
    client = ask(gateway, scope(path=b"/quick"))
    assert client.answers[0]["headers"] == [(b"ETag", b'"1"')]
    assert client.answers[1]["body"] == threading.main_thread().name.encode()
    assert ask(gateway, scope("HEAD", b"/quick")).answers[1]["body"] == b""
    assert echo.environ == {}
    assert ask(gateway, scope(path=b"/slow")).answers[0]["headers"] == [(b"X-Of", b"Echo")]
    gateway.close()


def test_what_no_thread_takes_up_in_time_is_refused_without_being_run() -> None:
    release, run = threading.Event(), []

    def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        run.append(environ)
        release.wait(PATIENCE)
        start_response("200 OK", [])
        return []

    gateway = Gateway(RequestScope(wsgi, 0.05), seconds=0.05, largest=LARGEST)
    clients = [Client() for _ in range(3 * THREADS)]

    async def all_at_once() -> None:
        tasks = [asyncio.create_task(gateway(scope(), client.receive, client.send)) for client in clients]
        await asyncio.wait(tasks[THREADS:])
        release.set()
        await asyncio.wait(tasks)

    asyncio.run(all_at_once())
    assert [client.status for client in clients] == [200] * THREADS + [503] * 2 * THREADS
    assert len(run) == THREADS
    headers = dict(clients[-1].answers[0]["headers"])
    assert headers[b"Retry-After"] == b"1"
    assert headers[b"X-Request-ID"] in clients[-1].answers[1]["body"]
    gateway.close()


def test_a_request_that_is_given_up_is_still_carried_out(echo: Echo) -> None:
    begun, release = threading.Event(), threading.Event()

    def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
        begun.set()
        release.wait(PATIENCE)
        return echo(environ, start_response)

    gateway = Gateway(wsgi, seconds=PATIENCE, largest=LARGEST)

    async def give_up() -> None:
        client = Client(b"all")
        task = asyncio.create_task(gateway(scope("POST", content_length="3"), client.receive, client.send))
        await asyncio.to_thread(begun.wait, PATIENCE)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        release.set()

    asyncio.run(give_up())
    gateway.close()
    assert (echo.closed, echo.failure) == (1, None)


def test_closing_waits_for_threads_and_then_finishes() -> None:
    order: list[str] = []
    gateway = Gateway(lambda *_: [], seconds=1, largest=1, finish=lambda: order.append("finished"))
    gateway._pool.submit(order.append, "thread")
    gateway.close()
    assert order == ["thread", "finished"]


def test_the_parser_in_c_is_used_by_a_class_of_our_own() -> None:
    pytest.importorskip("gunicorn_h1c", reason="the parser in C could not be built here")
    assert issubclass(worker.Protocol, ASGIProtocol)
    assert ASGIProtocol._h1c_has_limits
