"""The clients of one process that wait for changes: wakes them, checks their keys, and ends their waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from app.errors import ServiceError, Unauthorized, Unavailable
from app.http.identity import Identity
from app.metric_definitions import WAITING_CLIENTS
from app.metrics import Metrics
from app.server.request_body import Receive
from app.server.thread_pool import ThreadPool

log = logging.getLogger("dreamscript.server")

# Each client takes a socket and about 20 KiB.
MAX_CLIENTS = 4096
# A valid key is remembered for 3 s (app/domain/keys/authenticator.py), and its end takes effect within 5 s.
CHECK_SECONDS = 1.0
KINDS = ("longpoll", "eventsource")


class Client:
    """A client that waits in an event loop.

    ``is_refused``: its rights have ended. ``has_left``: the connection is closed. ``has_ended_input``: the client has
    closed its side of it, and may have left or still read.
    """

    def __init__(self, room: WaitingRoom, identity: Identity) -> None:
        self._room, self.identity = room, identity
        self._event = asyncio.Event()
        self.is_refused = self.has_left = self.has_ended_input = False

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.is_refused or self.has_left or self._room.is_closed

    @property
    def is_stopping(self) -> bool:
        """Whether the process ends."""
        return self._room.is_closed

    def wake(self) -> None:
        """End the wait, from any thread."""
        self._room.wake(self)

    def wake_here(self) -> None:
        """End the wait, from the event loop."""
        self._event.set()

    async def watch(self, receive: Receive) -> None:
        """Wait until the connection is closed."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        self._event.set()

    def end_input(self) -> None:
        """Note that the client has closed its side of the connection."""
        self.has_ended_input = True
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until ``wake``, which may have been called since the last wait; return False after ``seconds``."""
        if seconds <= 0:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class WaitingRoom:
    """Up to ``max_clients`` clients, whose keys are checked in a thread of ``pool``.

    ``check_feeds`` runs there too, every CHECK_SECONDS while clients wait. It may raise ServiceError.
    """

    def __init__(
        self,
        pool: ThreadPool,
        metrics: Metrics | None = None,
        check_feeds: Callable[[], object] = lambda: None,
        max_clients: int = MAX_CLIENTS,
    ) -> None:
        self._pool, self._metrics, self._max_clients = pool, metrics, max_clients
        self._check_feeds = check_feeds
        self._clients: dict[str, set[Client]] = {kind: set() for kind in KINDS}
        self._lock, self._woken = Lock(), list[Client]()
        self._checking: asyncio.Task[None] | None = None
        self.is_closed = False

    @property
    def has_room(self) -> bool:
        """Whether one more client can wait."""
        return sum(map(len, self._clients.values())) < self._max_clients

    @contextmanager
    def entered(self, kind: str, identity: Identity) -> Iterator[Client]:
        """Let a client wait."""
        client = Client(self, identity)
        self._loop = asyncio.get_running_loop()
        self._clients[kind].add(client)
        if self.is_closed:
            client.wake_here()
        if self._checking is None:
            self._checking = self._loop.create_task(self._check_keys())
        try:
            yield client
        finally:
            self._clients[kind].discard(client)

    def report_state(self) -> None:
        """Set the metrics of this moment."""
        if self._metrics:
            for kind, clients in self._clients.items():
                self._metrics.set(WAITING_CLIENTS, kind, value=len(clients))

    def wake(self, client: Client) -> None:
        """Wake a client from any thread. Clients that are woken together cost one call into the event loop."""
        with self._lock:
            self._woken.append(client)
            is_first = len(self._woken) == 1
        if is_first:
            # A loop that was closed meanwhile awaits nothing.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        with self._lock:
            woken, self._woken = self._woken, []
        for client in woken:
            client.wake_here()

    def close(self) -> None:
        """End all waits; no client can begin one."""
        self.is_closed = True
        for client in self._all():
            client.wake_here()

    def _all(self) -> list[Client]:
        return [client for clients in self._clients.values() for client in clients]

    async def _check_keys(self) -> None:
        """Check the keys of all clients until there are none."""
        while clients := self._all():
            await asyncio.sleep(CHECK_SECONDS)
            identities = {client.identity.access.key_id: client.identity for client in clients}
            with suppress(TimeoutError, RuntimeError):
                refused = await self._pool.run(self._check, identities, CHECK_SECONDS)
                for client in clients:
                    if client.identity.access.key_id in refused:
                        client.is_refused = True
                        client.wake_here()
        self._checking = None

    def _check(self, identities: dict[int, Identity]) -> set[int]:
        """Return the ids of keys that have ended, in a thread."""
        try:
            self._check_feeds()
        except ServiceError:
            pass  # The store has logged it.
        except Exception:
            log.exception("checking the feeds failed")
        return _refused(identities)


def _refused(identities: dict[int, Identity]) -> set[int]:
    """Return the ids of those keys whose rights have ended. While the database does not answer, none has."""
    refused = set()
    for key_id, identity in identities.items():
        try:
            identity.check()
        except Unauthorized:
            refused.add(key_id)
        except Unavailable:
            break
        except Exception:
            log.exception("checking key %d failed", key_id)
    return refused
