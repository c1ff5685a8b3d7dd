"""Gunicorn's threaded worker: the contract's error shape for what is not HTTP, no patience, and an orderly end."""

from __future__ import annotations

import json
import signal
import time
import uuid
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any

from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from app.request_context import remaining

REASON = "The request is not valid HTTP, or its request line or headers are too long."


# So many seconds are spent on a body that nobody wanted to read, before the connection is closed instead.
DRAIN = 0.5


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers what never becomes a request, and waits for no body longer than the request may take."""

    def run(self) -> None:
        """Serve until a signal ends it, and then let the application finish. Raises SystemExit where gunicorn does."""
        try:
            super().run()
        finally:
            # Ctrl-C reaches the worker from the terminal and from the master, and the second must not cut this off.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            self.wsgi.extensions["dreamscript"].close()

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer one request, whose body is read by its deadline."""
        unreader = conn.parser.unreader
        unreader.chunk = partial(read_in_time, conn.sock, type(unreader).chunk.__get__(unreader))
        answered: bool = super().handle_request(req, conn)
        return answered

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        """Tell whether the connection can go on, which what is left of a body must not decide for long."""
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN))

    def handle_error(self, req: Any, client: socket, addr: Any, exc: BaseException) -> None:
        """Answer 400 for a client's fault; leave the rest to gunicorn."""
        if not isinstance(exc, ParseException) or isinstance(exc, InvalidResponseHeader | InvalidResponseHeaderName):
            super().handle_error(req, client, addr, exc)
            return
        request_id = uuid.uuid4().hex
        self.log.warning("not HTTP", extra={"request_id": request_id, "failure": type(exc).__name__})
        try:
            write_nonblock(client, bad_request(request_id))
        except OSError:
            self.log.debug("The client of request %s did not wait for its answer.", request_id)


def read_in_time(client: socket, read: Callable[[int | None], bytes], size_hint: int | None = None) -> bytes:
    """Return the next piece of a body. Raises TimeoutError when the request's time is over."""
    left = remaining()
    if left is None:
        return read(size_hint)
    if left <= 0:
        raise TimeoutError("the body did not come in time")
    client.settimeout(left)
    try:
        return read(size_hint)
    finally:
        client.settimeout(None)


def bad_request(request_id: str) -> bytes:
    """Return the whole answer to what is not HTTP."""
    body = json.dumps({"error": "bad_request", "reason": REASON, "request_id": request_id, "errors": []})
    head = (
        "HTTP/1.1 400 Bad Request",
        "Connection: close",
        "Content-Type: application/json",
        "Cache-Control: no-store",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()
