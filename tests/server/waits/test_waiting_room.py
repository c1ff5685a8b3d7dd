"""Waiting clients of both kinds on the bridge by itself: counted, refused, checked and ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from unittest.mock import Mock

import pytest

from app.errors import Unauthorized, Unavailable
from app.metric_definitions import WAITING_CLIENTS
from app.server import waiting_room
from tests.samples import value
from tests.server.waits.service import SHORT, Build, Peer, Source, leave, started

pytestmark = pytest.mark.nodatabase


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
