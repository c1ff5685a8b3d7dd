"""Long-polls on the bridge by itself: answered by a change or after their timeout, or left."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.http.waiting import RESUMED
from tests.server.waits.service import SHORT, Build, Peer, leave, started
from tests.waiting import MAX_WAIT_SECONDS

pytestmark = pytest.mark.nodatabase


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
