"""Event streams on the bridge by itself: events, heartbeats, slow readers and ends, with short times."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.errors import Unavailable
from app.http.waiting import EventStream, Part, WaitingBody
from app.metric_definitions import EVENTS, SLOW_STREAMS
from tests.samples import value
from tests.server.bridge.asgi import scope
from tests.server.waits.service import EVENT, SHORT, Build, Key, Peer, Source, leave, started
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase


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


def test_a_server_without_an_event_loop_ends_a_stream_that_has_caught_up() -> None:
    source, reports = Source(Part(b"a"), Part(b"b", is_caught_up=True)), list[int]()
    body = WaitingBody(EventStream(Key().identity, source), b"")
    body.report = lambda _, size: reports.append(size)
    assert b"".join(body) == b"ab"
    body.close()
    body.close()
    assert (source.closes, reports) == (2, [0])
