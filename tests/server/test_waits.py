"""Clients that wait, on the bridge by itself: heartbeats, ends, slow readers and keys that end, with short times."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from app.domain.access import Access
from app.errors import Unauthorized, Unavailable
from app.http.identity import Identity
from app.http.request_scope import RequestScope
from app.http.waiting import HAS_ROOM, RESUMED, EventStream, LongPoll, Part, Resumed, WaitingBody, Wake
from app.metric_definitions import EVENTS, SLOW_STREAMS, WAITING_CLIENTS
from app.metrics import Metrics
from app.request_context import RequestRecord
from app.server import waiting_room
from app.server.streams import TIMING, Timing
from app.server.wsgi_bridge import WSGIBridge
from tests.samples import value
from tests.server.test_wsgi_bridge import scope
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase

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


@pytest.fixture
def build() -> Iterator[Build]:
    services: list[Service] = []

    def make(**seconds: float) -> Service:
        services.append(Service(replace(TIMING, **seconds)))
        return services[-1]

    yield make
    for service in services:
        service.bridge.close()


async def started(service: Service, peer: Peer, path: bytes = b"/stream", **state: Any) -> asyncio.Task[None]:
    """Start a request, and return when its source is watched."""
    service.source.is_watched.clear()
    task = asyncio.create_task(service.call(peer, path, **state))
    await asyncio.to_thread(service.source.is_watched.wait, MAX_WAIT_SECONDS)
    return task


async def leave(peer: Peer, task: asyncio.Task[None]) -> None:
    peer.gone.set()
    await task


def test_events_are_sent_as_they_are_added_and_counted(build: Build) -> None:
    service = build()

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer)
        for number in range(1, 4):
            await asyncio.to_thread(service.source.add, EVENT)
            await peer.until(EVENT, number)
        assert peer.body.startswith(b"retry: ")
        await leave(peer, task)

    asyncio.run(run())
    assert value(service.metrics, EVENTS) == 3
    [record] = service.records
    assert record.body_bytes > 3 * len(EVENT)
    assert record.waited_seconds > 0
    assert service.source.closes == 1


def test_waiting_clients_are_no_requests_in_flight(build: Build) -> None:
    service = build()

    async def run() -> None:
        peers = [Peer(), Peer()]
        tasks = [await started(service, peers[0]), await started(service, peers[1], b"/poll")]
        await peers[0].until(b"ready")
        service.bridge.waits.room.report_state()
        service.metrics.report_process()
        counts = [value(service.metrics, WAITING_CLIENTS, kind, "0") for kind in ("eventsource", "longpoll")]
        assert (counts, service.bridge.in_flight) == ([1, 1], 0)
        for peer, task in zip(peers, tasks, strict=True):
            await leave(peer, task)

    asyncio.run(run())


def test_a_heartbeat_is_sent_when_nothing_happens(build: Build) -> None:
    service = build(heartbeat_seconds=SHORT)

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer)
        await peer.until(b"event: heartbeat\ndata: {}\n\n", 3)
        assert b"id:" not in peer.body
        await leave(peer, task)

    asyncio.run(run())


def test_a_stream_ends_after_its_life(build: Build) -> None:
    service, peer = build(life_seconds=SHORT), Peer()
    asyncio.run(service.call(peer))
    assert peer.is_complete
    assert peer.body.count(b"retry") == 1


def test_a_stream_that_cannot_continue_ends(build: Build) -> None:
    service, peer = build(), Peer()
    service.source = Source(Part(b"event: gone\n\n", is_end=True))
    asyncio.run(service.call(peer))
    assert peer.is_complete
    assert peer.body.endswith(b"event: gone\n\n")


def test_a_stream_waits_for_the_database(build: Build) -> None:
    service = build(retry_seconds=SHORT)
    service.source = Source(Unavailable(), Unavailable(), Part(b"late", is_caught_up=True))

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer)
        await peer.until(b"late")
        await leave(peer, task)

    asyncio.run(run())


def test_a_stream_that_has_fallen_behind_reads_until_it_can_follow(build: Build) -> None:
    service = build(join_seconds=SHORT)

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer)
        service.source.is_watched.clear()
        service.source.parts = [Part(b"read 1", is_caught_up=True), Part(b"read 2", is_caught_up=True)]
        service.source.is_behind = True
        service.source.wake()
        await peer.until(b"read 2")
        service.source.is_behind = False
        await asyncio.to_thread(service.source.is_watched.wait, MAX_WAIT_SECONDS)
        service.source.add(EVENT)
        await peer.until(EVENT)
        await leave(peer, task)

    asyncio.run(run())


def test_a_slow_reader_is_ended_and_slows_nobody(build: Build) -> None:
    service, ended = build(stall_seconds=SHORT), threading.Event()

    class Raw:
        def end(self) -> None:
            ended.set()

    async def run() -> None:
        slow, fast = Peer(is_stalled=True), Peer()
        task = asyncio.create_task(service.call(slow, stream=lambda _: Raw()))
        await slow.until(b"retry")
        service.source = Source()
        other = await started(service, fast)
        service.source.add(EVENT)
        await fast.until(EVENT)
        await task
        assert not slow.is_complete
        await leave(fast, other)

    asyncio.run(run())
    assert ended.is_set()
    assert value(service.metrics, SLOW_STREAMS) == 1


def test_http_1_0_needs_no_chunks(build: Build) -> None:
    service, calls = build(life_seconds=SHORT), list[str]()

    class Raw:
        def begin_without_chunks(self) -> None:
            calls.append("begin")

        def end(self) -> None:
            calls.append("end")

    async def run() -> None:
        request = scope(path=b"/stream") | {"http_version": "1.0", "state": {"stream": lambda _: Raw()}}
        peer = Peer()
        await service.bridge(request, peer.receive, peer.send)
        assert not peer.is_complete

    asyncio.run(run())
    assert calls == ["begin", "end"]


def test_a_key_that_has_ended_ends_its_waits(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_room, "CHECK_SECONDS", SHORT)
    service = build()

    async def run() -> None:
        stream, poll = Peer(), Peer()
        tasks = [await started(service, stream), await started(service, poll, b"/poll")]
        service.key.failure = Unavailable()
        checks = service.key.checks
        while service.key.checks < checks + 2:
            await asyncio.sleep(SHORT)
        assert not any(task.done() for task in tasks)
        service.body, service.key.failure = b"ended", Unauthorized()
        await asyncio.gather(*tasks)
        assert stream.is_complete
        assert poll.body == b"ended"

    asyncio.run(run())


@pytest.mark.parametrize("failure", [Unavailable(), ValueError()])
def test_keys_are_checked_also_where_checking_the_feeds_fails(
    build: Build, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(waiting_room, "CHECK_SECONDS", SHORT)
    service = build()
    service.check_feeds = Mock(side_effect=failure)

    async def run() -> None:
        stream = Peer()
        task = await started(service, stream)
        service.key.failure = Unauthorized()
        await task
        assert stream.is_complete

    asyncio.run(run())


def test_the_end_of_the_process_ends_all_waits_at_once(build: Build) -> None:
    service = build()

    async def run() -> None:
        stream, poll, late = Peer(), Peer(), Peer()
        tasks = [await started(service, stream), await started(service, poll, b"/poll")]
        service.bridge.waits.room.close()
        await asyncio.gather(*tasks)
        last = [int(text) for text in re.findall(rb"retry: ([0-9]+)", stream.body)][-1]
        assert stream.is_complete
        assert 1000 <= last <= 5000
        assert (poll.body, poll.is_complete) == (b"first", True)
        await service.call(late, b"/poll")
        assert late.body == b"first"

    asyncio.run(run())


def test_a_client_that_finds_no_room_is_refused(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    service = build()
    monkeypatch.setattr(service.bridge.waits.room, "_max_clients", 1)

    async def run() -> None:
        first, second = Peer(), Peer()
        task = await started(service, first, b"/poll")
        await service.call(second, b"/poll")
        assert second.body == b"full"
        await leave(first, task)

    asyncio.run(run())


def test_a_long_poll_is_answered_when_something_changes(build: Build) -> None:
    service = build()

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer, b"/poll")
        service.body = b"other"
        await asyncio.to_thread(service.source.wake)
        await task
        assert (peer.body, peer.is_complete) == (b"other", True)

    asyncio.run(run())
    assert len(service.runs) == 2
    [record] = service.records
    assert record.waited_seconds > 0
    assert record.seconds < record.waited_seconds + 5


def test_a_long_poll_is_answered_after_its_timeout(build: Build) -> None:
    service, peer = build(), Peer()
    service.timeout = SHORT
    asyncio.run(service.call(peer, b"/poll"))
    assert (peer.body, peer.is_complete) == (b"first", True)
    assert (len(service.runs), len(service.records)) == (1, 1)


def test_a_long_poll_that_finds_nothing_goes_on_with_its_timeout(build: Build) -> None:
    service = build()

    async def run() -> None:
        peer, began = Peer(), time.monotonic()
        task = await started(service, peer, b"/poll")
        latest = time.monotonic() + service.timeout
        service.source.is_watched.clear()
        service.source.wake()
        await asyncio.to_thread(service.source.is_watched.wait, MAX_WAIT_SECONDS)
        assert began + service.timeout <= service.runs[1][RESUMED].deadline <= latest
        await leave(peer, task)

    asyncio.run(run())
    assert (len(service.runs), len(service.records)) == (2, 1)


def test_a_long_poll_that_is_woken_at_once_runs_again_less_and_less_often(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = build(join_seconds=0.05, rejoin_seconds=0.1)
    service.timeout = 0.5
    monkeypatch.setattr(service.source, "watch", lambda wake: wake())
    asyncio.run(service.call(Peer(), b"/poll"))
    # At once, after 0.05 s, and then every 0.1 s until the timeout.
    assert len(service.runs) <= 8


def test_a_client_that_leaves_is_forgotten(build: Build) -> None:
    service = build()

    async def run() -> None:
        peer = Peer()
        task = await started(service, peer, b"/poll")
        await leave(peer, task)
        assert peer.sent == []

    asyncio.run(run())
    assert service.source.closes
    assert len(service.records) == 1


def test_a_half_closed_long_poll_is_answered_and_a_half_closed_stream_is_probed(build: Build) -> None:
    service, callbacks = build(), list[Callable[[], None]]()

    class Raw:
        def end(self) -> None:
            """Do nothing."""

    def open_raw(on_end_of_input: Callable[[], None]) -> Raw:
        callbacks.append(on_end_of_input)
        return Raw()

    async def run() -> None:
        poll, stream = Peer(), Peer()
        task = await started(service, poll, b"/poll", stream=open_raw)
        callbacks.pop()()
        await task
        assert poll.body == b"first"
        service.source = Source()
        task = await started(service, stream, stream=open_raw)
        callbacks.pop()()
        await stream.until(b":\n\n")
        await leave(stream, task)

    asyncio.run(run())


def test_a_server_without_an_event_loop_ends_a_stream_that_has_caught_up() -> None:
    source, reports = Source(Part(b"a"), Part(b"b", is_caught_up=True)), list[int]()
    body = WaitingBody(EventStream(Key().identity, source), b"")
    body.report = lambda _, size: reports.append(size)
    assert b"".join(body) == b"ab"
    body.close()
    body.close()
    assert (source.closes, reports) == (2, [0])
