"""Serves the API behind uvicorn, in as many processes as DREAMSCRIPT_WORKERS says."""

from __future__ import annotations

import gc
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from app import create_app
from app.domain.keys import usage
from app.http.cross_origin import CrossOrigin
from app.http.precheck import Precheck
from app.metric_definitions import IN_FLIGHT
from app.server import logs
from app.server.streaming_protocol import StreamingProtocol
from app.server.supervisor import STOPPING, supervise
from app.server.wsgi_bridge import WSGIBridge
from app.services import Shared
from app.settings import Settings
from launcher.address import free_port

log = logging.getLogger("dreamscript.server")

BACKLOG = 2048
# New objects between two collections of the young ones; a request makes some hundred, nearly all of them no garbage.
COLLECTED_OBJECTS = 10_000
TICKS_PER_SECOND = 10
# Each connection is an open file, and many systems allow 1,024 unless a process asks for more.
MAX_OPEN_FILES = 2**16
# Between the time when a worker should have cut its last connections and its kill.
FORCE_SECONDS = 2


def serve(
    settings: Settings,
    is_database_kept: Callable[[], bool] = lambda: True,
    ready: Callable[[str, int], None] = lambda _host, _port: None,
) -> int:
    """Serve until SIGTERM or SIGINT, then finish what was begun. Call ``ready`` as soon as connections are taken.

    Returns 1 if it ended because of ``supervise``.
    """
    logs.configure(logs.form_of(settings.log))
    raise_file_limit()
    shared, supervisor = Shared.build(settings), os.getpid()
    listeners = listen(settings)
    host, port = listeners[0].getsockname()[:2]
    ready(host, port)
    log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    grace = grace_seconds(settings)

    def work(listener: socket.socket) -> None:
        Worker(settings, shared, supervisor, grace - FORCE_SECONDS).run(sockets=[listener])

    return 0 if supervise(work, listeners, grace, is_database_kept) else 1


def raise_file_limit() -> None:
    """Allow as many open files as the system permits, up to MAX_OPEN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def grace_seconds(settings: Settings) -> int:
    """Return the time from SIGTERM until the last worker has ended, by force if need be.

    Requests in flight end by their deadline; a little more lets responses be sent and last uses be written.
    """
    return math.ceil(settings.deadline + usage.FLUSH_SECONDS) + 2 + FORCE_SECONDS


def listen(settings: Settings) -> list[socket.socket]:
    """Return a listening socket for each worker, over which the system spreads connections (Linux: SO_REUSEPORT).

    A shared socket would give nearly all waiting connections to one worker: uvloop accepts as many as there are.
    """
    address = settings.host, free_port(settings)
    return [
        socket.create_server(address, family=settings.family, backlog=BACKLOG, reuse_port=True)
        for _ in range(settings.workers)
    ]


def config(
    bridge: WSGIBridge, protocol: type[StreamingProtocol], settings: Settings, grace_seconds: int
) -> uvicorn.Config:
    """Return uvicorn's settings for serving ``bridge`` by ``protocol``."""
    return uvicorn.Config(
        bridge,
        interface="asgi3",
        http=protocol,
        ws="none",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        # DREAMSCRIPT_TRUSTED_PROXIES alone decides which proxies are trusted, in app.http.
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=grace_seconds,
    )


class Worker(uvicorn.Server):
    """A server process. It builds its own application, so that no connection is shared with other processes."""

    def __init__(self, settings: Settings, shared: Shared, supervisor: int, grace_seconds: int) -> None:
        self.access_log = logs.AccessLog(logs.form_of(settings.log), sys.stderr.fileno())
        application = create_app(settings, shared, self.access_log.report)
        cache, cross_origin = application.response_cache, CrossOrigin(settings.cors_origins)
        count_refusal = application.services.metrics.count_refusal
        bridge = WSGIBridge(
            application.wsgi_app if cache.is_immediate else application,
            seconds=settings.deadline,
            body_limit=Precheck(application.flask, application.services).body_limit,
            close=application.close,
            cross_origin=cross_origin,
            count_failure=count_refusal,
            metrics=application.services.metrics,
            check_feeds=application.services.changes.check_identities,
        )
        own: dict[str, object] = {"cross_origin": cross_origin, "count_refusal": staticmethod(count_refusal)}
        if cache.is_immediate:
            own["lookup"] = staticmethod(cache.lookup)
        self.supervisor, self.bridge, self.services = supervisor, bridge, application.services
        super().__init__(config(bridge, type("CachingProtocol", (StreamingProtocol,), own), settings, grace_seconds))

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; the signals are blocked until this process has handlers of its own."""
        for number in STOPPING:
            signal.signal(number, self.handle_exit)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            super().run(sockets)
        finally:
            self.access_log.end()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop. A terminal's Ctrl-C reaches a worker twice, which must not cut it off."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections."""
        await super().startup(sockets)
        # So that departures shortly before a client's wait are known, and do not wake it.
        for follower in self.services.followers.values():
            follower.start()
        # The application is never garbage, so that the collector need not look through it (Python's gc.freeze).
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECTED_OBJECTS)
        self.services.background.start()
        log.info("worker started")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests in flight end, and end waits at once; no tick writes their lines any more."""
        self.access_log.end()
        self.bridge.waits.room.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Write the log, set gauges, and stop as well if the supervisor was killed.

        uvicorn calls this ten times a second.
        """
        self.access_log.flush()
        if counter % TICKS_PER_SECOND == 0:
            self.services.metrics.set(IN_FLIGHT, value=self.bridge.in_flight)
            self.bridge.waits.room.report_state()
            self.services.report_state()
        return await super().on_tick(counter) or os.getppid() != self.supervisor
