"""Sends event streams from an event loop, without a thread for each."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.errors import ServiceError
from app.http.waiting import Part, Source
from app.metric_definitions import EVENTS, SLOW_STREAMS
from app.metrics import Metrics
from app.request_context import request_context
from app.server.thread_pool import ThreadPool
from app.server.waiting_room import Client

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

HEARTBEAT = b"event: heartbeat\ndata: {}\n\n"
# A comment, which clients ignore. Writing shows whether a client that has ended its side still reads.
PROBE = b":\n\n"
# The range of milliseconds after which clients connect again: usually, and after the end of this process.
RETRY_MS, RESTART_RETRY_MS = (1500, 2500), (1000, 5000)


@dataclass(frozen=True)
class Timing:
    """The seconds between heartbeats, until a stream ends, for a client to read its events, and between failed reads.

    ``join_seconds`` passes before another attempt to follow a feed that was only just opened, and ``rejoin_seconds``
    between further ones. A long-poll that runs again and again pauses for the same times.
    """

    heartbeat_seconds: float = 15.0
    life_seconds: float = 900.0
    stall_seconds: float = 10.0
    retry_seconds: float = 1.0
    join_seconds: float = 0.25
    rejoin_seconds: float = 2.0


TIMING = Timing()


class SlowReader(Exception):
    """The client does not read its events."""


class Streams:
    """Reads the changes for streams in threads of ``pool``, within ``seconds`` each, a few at a time."""

    MAX_READS = 4

    def __init__(self, pool: ThreadPool, seconds: float, metrics: Metrics | None, timing: Timing) -> None:
        self._pool, self._seconds, self._metrics, self.timing = pool, seconds, metrics, timing
        # The other threads are for requests.
        self.reads = asyncio.Semaphore(self.MAX_READS)

    async def read(self, source: Source, request_id: str) -> Part:
        """Return the next part of a stream. Raises Unavailable and TimeoutError."""

        def read(_: None) -> Part:
            with request_context(request_id=request_id, seconds=self._seconds):
                return source.read()

        async with self.reads:
            return await self._pool.run(read, None, self._seconds)

    def count_changes(self, changes: int) -> None:
        """Count changes that were sent."""
        if self._metrics and changes:
            self._metrics.count(EVENTS, times=changes)

    def count_slow(self) -> None:
        """Count a stream that was ended since its client did not read."""
        if self._metrics:
            self._metrics.count(SLOW_STREAMS)


class Stream:
    """One stream: catches up by reading, and then sends new events as they are reported."""

    def __init__(self, streams: Streams, source: Source, client: Client, send: Send, request_id: str) -> None:
        self._streams, self._timing, self._source, self._client = streams, streams.timing, source, client
        self._send_message, self._read = send, partial(streams.read, source, request_id)
        self.sent_bytes = 0
        now = time.monotonic()
        self._heartbeat_at = now + self._timing.heartbeat_seconds
        # Streams that began together do not end together.
        self._ends_at = now + self._timing.life_seconds * random.uniform(0.9, 1)  # noqa: S311 - nobody gains by guessing

    async def run(self) -> None:
        """Send events until the stream ends. Raises SlowReader."""
        await self._send(_retry(*RETRY_MS))
        while await self._catch_up():
            self._source.watch(self._client.wake)
            while (part := self._source.take()) is not None:
                if part.data:
                    await self._send(part.data, part.changes)
                elif not await self._pause():
                    break
        if self._client.is_stopping:
            await self._send(_retry(*RESTART_RETRY_MS))

    @property
    def _is_over(self) -> bool:
        return self._client.is_over or time.monotonic() >= self._ends_at

    async def _catch_up(self) -> bool:
        """Send all that a poll shows; return False if the stream has ended."""
        delay = self._timing.join_seconds
        while not self._is_over:
            try:
                part = await self._read()
            except (ServiceError, TimeoutError):
                await self._pause(self._timing.retry_seconds)
                continue
            await self._send(part.data, part.changes)
            if part.is_end:
                return False
            if part.is_caught_up and not self._source.is_behind:
                return True
            if part.is_caught_up:
                await self._pause(delay)
                delay = min(2 * delay, self._timing.rejoin_seconds)
        return False

    async def _pause(self, seconds: float | None = None) -> bool:
        """Wait for ``seconds``, or for an event, and send heartbeats meanwhile; return False if the stream is over."""
        until = self._ends_at if seconds is None else min(self._ends_at, time.monotonic() + seconds)
        while not self._is_over and time.monotonic() < until:
            is_woken = await self._client.wait(min(until, self._heartbeat_at) - time.monotonic())
            if self._client.has_ended_input:
                self._client.has_ended_input = False
                await self._send(PROBE)
            if is_woken and seconds is None:
                break
            if time.monotonic() >= self._heartbeat_at:
                await self._send(HEARTBEAT)
        return not self._is_over

    async def end(self) -> None:
        """Send the end. Raises SlowReader."""
        await self._write({"type": "http.response.body", "body": b""})

    async def _send(self, data: bytes, changes: int = 0) -> None:
        """Send events, some of them changes. Raises SlowReader."""
        if data:
            self._heartbeat_at = time.monotonic() + self._timing.heartbeat_seconds
            await self._write({"type": "http.response.body", "body": data, "more_body": True})
            self.sent_bytes += len(data)
            self._streams.count_changes(changes)

    async def _write(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._timing.stall_seconds):
                await self._send_message(message)
        except TimeoutError:
            self._streams.count_slow()
            raise SlowReader from None


def _retry(least_ms: int, most_ms: int) -> bytes:
    return b"retry: %d\n\n" % random.randint(least_ms, most_ms)  # noqa: S311 - nobody gains by guessing it
