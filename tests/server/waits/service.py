"""A service on the bridge by itself that lets each client wait, and its clients, keys and events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from app.domain.access import Access
from app.http.identity import Identity
from app.http.request_scope import RequestScope
from app.http.waiting import HAS_ROOM, RESUMED, EventStream, LongPoll, Part, Resumed, WaitingBody, Wake
from app.metrics import Metrics
from app.request_context import RequestRecord
from app.server.streams import TIMING, Timing
from app.server.wsgi_bridge import WSGIBridge
from tests.server.bridge.asgi import scope
from tests.waiting import MAX_WAIT_SECONDS

SHORT = 0.02
ACCESS = Access(1, "p", frozenset())
EVENT = b"event: document.changed\ndata: {}\n\n"


class Source:
    """Events that the test adds, in any thread. The first read shows none."""

    def __init__(self, *parts: Part | Exception) -> None:
        self.parts = [*parts] or [Part(b"event: ready\ndata: {}\n\n", is_caught_up=True)]
        self.new: list[bytes] = []
        self.is_behind = False
        self.reads = self.closes = 0
        self.wake: Wake = lambda: None
        self.is_watched = threading.Event()

    def read(self) -> Part:
        self.reads += 1
        part = self.parts.pop(0) if self.parts else Part(b"", is_caught_up=True)
        if isinstance(part, Exception):
            raise part
        return part

    def take(self) -> Part | None:
        if self.is_behind:
            return None
        events, self.new = self.new, []
        return Part(b"".join(events), len(events))

    def watch(self, wake: Wake) -> None:
        self.wake = wake
        self.is_watched.set()

    def add(self, data: bytes) -> None:
        self.new.append(data)
        self.wake()

    def close(self) -> None:
        self.closes += 1


class Key:
    """A key that can end, or that cannot be checked."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.checks = 0

    def check(self) -> Access:
        self.checks += 1
        if self.failure:
            raise self.failure
        return ACCESS

    @property
    def identity(self) -> Identity:
        return Identity(ACCESS, self.check)


class Peer:
    """The client of an ASGI application: it leaves when the test sets ``gone``, and reads unless it is stalled."""

    def __init__(self, *, is_stalled: bool = False) -> None:
        self.sent: list[Any] = []
        self.gone, self.arrived = asyncio.Event(), asyncio.Event()
        self.is_stalled = is_stalled

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.is_stalled and self.body:
            await asyncio.Event().wait()
        self.sent.append(message)
        self.arrived.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def is_complete(self) -> bool:
        return bool(self.sent) and not self.sent[-1].get("more_body", self.sent[-1]["type"] != "http.response.body")

    async def until(self, text: bytes, count: int = 1) -> None:
        """Wait until the body has ``text`` as often as ``count``."""
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            while self.body.count(text) < count:
                self.arrived.clear()
                await self.arrived.wait()


class Service:
    """A WSGI application that lets each client wait, behind a bridge."""

    def __init__(self, timing: Timing = TIMING) -> None:
        self.records: list[RequestRecord] = []
        self.metrics = Metrics()
        self.runs: list[dict[str, Any]] = []
        self.key, self.source = Key(), Source()
        self.timeout = MAX_WAIT_SECONDS
        self.body = b"first"
        self.check_feeds: Callable[[], object] = lambda: None
        self.bridge = WSGIBridge(
            RequestScope(self.wsgi, 5.0, self.records.append),
            seconds=5.0,
            body_limit=lambda _: 0,
            metrics=self.metrics,
            timing=timing,
            check_feeds=lambda: self.check_feeds(),
        )

    def wsgi(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        self.runs.append(environ)
        if environ["PATH_INFO"] == "/stream":
            start_response("200 OK", [("Content-Type", "text/event-stream")])
            return WaitingBody(EventStream(self.key.identity, self.source), b"")
        if HAS_ROOM in environ and not environ[HAS_ROOM]:
            start_response("503 Service Unavailable", [])
            return [b"full"]
        resumed = environ.get(RESUMED) or Resumed(time.monotonic() + self.timeout, None)
        start_response("200 OK", [("Content-Length", "5")])
        if self.body != b"first":
            return [self.body]
        return WaitingBody(LongPoll(self.key.identity, self.source, resumed), self.body)

    async def call(self, peer: Peer, path: bytes = b"/stream", **state: Any) -> None:
        request = scope(path=path)
        request["state"] |= state
        async with asyncio.timeout(MAX_WAIT_SECONDS):
            await self.bridge(request, peer.receive, peer.send)


Build = Callable[..., Service]


async def started(service: Service, peer: Peer, path: bytes = b"/stream", **state: Any) -> asyncio.Task[None]:
    """Start a request, and return when its source is watched."""
    service.source.is_watched.clear()
    task = asyncio.create_task(service.call(peer, path, **state))
    await asyncio.to_thread(service.source.is_watched.wait, MAX_WAIT_SECONDS)
    return task


async def leave(peer: Peer, task: asyncio.Task[None]) -> None:
    peer.gone.set()
    await task
