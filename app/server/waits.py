"""Lets clients wait for changes in the event loop: long-polls, which answer once, and streams."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from app.http.responses import Response
from app.http.waiting import RESUMED, WAITED_SECONDS, EventStream, LongPoll, WaitingBody
from app.metrics import Metrics
from app.server.request_body import Receive
from app.server.streaming_protocol import RawStream
from app.server.streams import Send, SlowReader, Stream, Streams, Timing
from app.server.thread_pool import ThreadPool
from app.server.waiting_room import Client, WaitingRoom

# Opens the response of a connection as a raw stream, and is given the callback for the end of the client's input.
OpenRaw = Callable[[Callable[[], None]], RawStream | None]
# Runs a request again, with further entries in its WSGI environ.
RunAgain = Callable[[dict[str, Any]], Awaitable[Response]]


@dataclass(frozen=True)
class Exchange:
    """The request of one client, as ASGI has it."""

    receive: Receive
    send: Send
    open_raw: OpenRaw
    run_again: RunAgain
    is_http_1_0: bool = False


class Waits:
    """The clients of one process that wait. They read the changes in threads of ``pool``, within ``seconds``."""

    def __init__(
        self,
        pool: ThreadPool,
        seconds: float,
        metrics: Metrics | None,
        timing: Timing,
        check_feeds: Callable[[], object],
    ) -> None:
        self.room, self._timing = WaitingRoom(pool, metrics, check_feeds), timing
        self._streams = Streams(pool, seconds, metrics, self._timing)

    async def answer(self, response: Response, exchange: Exchange) -> Response | None:
        """Wait, and return the response that is to be sent; None if it was sent, or if the client has left."""
        body = response.waiting
        if body is not None and isinstance(body.waiting, EventStream):
            await self._stream(response, body, body.waiting, exchange)
            return None
        started, pause = time.monotonic(), 0.0
        final: Response | None = response
        while final is not None and final.waiting is not None:
            final = await self._long_poll(final, final.waiting, exchange, started, pause)
            pause = min(max(2 * pause, self._timing.join_seconds), self._timing.rejoin_seconds)
        return final

    async def _long_poll(
        self, response: Response, body: WaitingBody, exchange: Exchange, started: float, pause: float
    ) -> Response | None:
        """Wait once; return the answer of the first poll, which is right as long as the client would see no change.

        If there may be one, run the request again, and return its answer. Return None if the client has left.
        """
        poll = body.waiting
        assert isinstance(poll, LongPoll)
        with self.room.entered("longpoll", poll.identity) as client:
            exchange.open_raw(client.end_input)
            watching = asyncio.create_task(client.watch(exchange.receive))
            try:
                may_have_changed = await self._wait(poll, client, pause)
                if not may_have_changed and response.status == HTTPStatus.OK:
                    response = with_body(response, poll.refreshed())
            finally:
                watching.cancel()
                poll.close()
            waited_seconds = time.monotonic() - started
            if may_have_changed and not client.has_left:
                body.drop()
                async with self._streams.reads:
                    return await exchange.run_again({RESUMED: poll.resumed, WAITED_SECONDS: waited_seconds})
            body.finish(waited_seconds, 0 if client.has_left else len(response.body))
            return None if client.has_left else response._replace(waiting=None)

    async def _wait(self, poll: LongPoll, client: Client, pause: float) -> bool:
        """Wait until there may be a change, or until the key has ended; return False if the client has its answer.

        After a change, wait until ``pause`` seconds have passed, or until the next change. In a cluster, each change of
        the last seconds wakes the client at once, although it may have read that change already.
        """
        began = time.monotonic()
        seconds_left = poll.resumed.deadline - time.monotonic()
        if poll.watched.is_behind:
            await client.wait(min(self._timing.rejoin_seconds, seconds_left))
            return client.is_refused or not (client.is_over or client.has_ended_input)
        poll.watched.watch(client.wake)
        is_woken = await client.wait(seconds_left)
        if is_woken and not client.is_over:
            await client.wait(min(began + pause, poll.resumed.deadline) - time.monotonic())
        return is_woken and (client.is_refused or not (client.is_over or client.has_ended_input))

    async def _stream(self, response: Response, body: WaitingBody, waiting: EventStream, exchange: Exchange) -> None:
        started = time.monotonic()
        with self.room.entered("eventsource", waiting.identity) as client:
            raw = exchange.open_raw(client.end_input)
            if exchange.is_http_1_0 and raw:
                raw.begin_without_chunks()
            headers = response.encoded_headers()
            await exchange.send({"type": "http.response.start", "status": response.status, "headers": headers})
            watching = asyncio.create_task(client.watch(exchange.receive))
            stream = Stream(self._streams, waiting.source, client, exchange.send, body.request_id)
            try:
                with suppress(SlowReader):
                    await stream.run()
                    if not exchange.is_http_1_0:
                        await stream.end()
            finally:
                watching.cancel()
                waiting.close()
                body.finish(time.monotonic() - started, stream.sent_bytes)
                if raw:
                    raw.end()


def with_body(response: Response, body: bytes | None) -> Response:
    """Return ``response`` with another body of the same length, if there is one."""
    return response if body is None or len(body) != len(response.body) else response._replace(body=body)
