"""Takes in request bodies: small ones in memory, large ones in files that share a budget."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# A larger body is kept in a file.
MEMORY_BYTES = 65_536
# The rest of an unread body is discarded, so that a client that is still sending sees its response. That ends when
# nothing has arrived for DRAIN_PAUSE_SECONDS, and after MAX_DRAIN_SECONDS at the latest.
DRAIN_PAUSE_SECONDS, MAX_DRAIN_SECONDS = 0.5, 5.0


class SpoolBudget:
    """The bytes that all request bodies of a process may keep in files at one time."""

    def __init__(self, capacity_bytes: int) -> None:
        self._free_bytes = capacity_bytes
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, size_bytes: int) -> None:
        """Wait until ``size_bytes`` are free, and take them."""
        while size_bytes > self._free_bytes:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                self._waiting.remove(turn)
        self._free_bytes -= size_bytes

    def release(self, size_bytes: int) -> None:
        """Return the reserved bytes to the budget."""
        self._free_bytes += size_bytes
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)


class RequestBody:
    """The body of one request.

    ``length_bytes`` is None if the client does not declare it. ``is_unread`` is whether more of it may arrive, and
    ``is_waiting_for_budget`` whether other bodies keep it from being read.
    """

    def __init__(self, receive: Receive, length_bytes: int | None, budget: SpoolBudget) -> None:
        self._receive, self._length_bytes, self._budget = receive, length_bytes, budget
        self._reserved_bytes = 0
        self.is_unread = length_bytes != 0
        self.is_waiting_for_budget = False

    @contextmanager
    def open(self) -> Iterator[SpooledTemporaryFile[bytes]]:
        """Provide the file that the body is read into; the application's thread closes it."""
        self.file = SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115
        try:
            yield self.file
        finally:
            self._budget.release(self._reserved_bytes)

    async def read(self, limit_bytes: int, deadline: float) -> None:
        """Read the body up to one byte over the limit; nothing if the limit is 0.

        Raises TimeoutError at ``deadline``, by the monotonic clock, and EOFError if the client leaves before the end.
        """
        async with asyncio.timeout(deadline - time.monotonic()):
            while limit_bytes and self.is_unread and self.file.tell() <= limit_bytes:
                chunk = await self._next_chunk()
                if time.monotonic() > deadline:
                    raise TimeoutError
                if not self._reserved_bytes and self.file.tell() + len(chunk) > MEMORY_BYTES:
                    await self._reserve(self._length_bytes or limit_bytes + 1)
                self.file.write(chunk[: limit_bytes + 1 - self.file.tell()])
        self.file.seek(0)

    async def _reserve(self, size_bytes: int) -> None:
        self.is_waiting_for_budget = True
        await self._budget.reserve(size_bytes)
        self._reserved_bytes, self.is_waiting_for_budget = size_bytes, False

    async def drain(self) -> None:
        """Discard the rest of the body until the client pauses, for MAX_DRAIN_SECONDS at most."""
        with suppress(TimeoutError, EOFError):
            async with asyncio.timeout(MAX_DRAIN_SECONDS):
                while self.is_unread:
                    async with asyncio.timeout(DRAIN_PAUSE_SECONDS):
                        await self._next_chunk()

    async def _next_chunk(self) -> bytes:
        message = await self._receive()
        self.is_unread = message.get("more_body", False)
        if message["type"] == "http.disconnect":
            raise EOFError
        chunk: bytes = message.get("body", b"")
        return chunk


def declared_length(environ: Mapping[str, Any]) -> int | None:
    """Return the length of a request's body, None for a chunked one."""
    return None if "HTTP_TRANSFER_ENCODING" in environ else int(environ.get("CONTENT_LENGTH") or 0)
