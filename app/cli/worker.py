"""Gunicorn's threaded worker, except that bytes which are not HTTP get the contract's error shape and not HTML."""

from __future__ import annotations

import json
import uuid
from socket import socket
from typing import Any

from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

REASON = "The request is not valid HTTP, or its request line or headers are too long."


class Worker(ThreadWorker):  # type: ignore[misc]
    """Answers what never becomes a request."""

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


def bad_request(request_id: str) -> bytes:
    """Return the whole answer to what is not HTTP."""
    body = json.dumps({"error": "bad_request", "reason": REASON, "request_id": request_id, "errors": []})
    head = (
        "HTTP/1.1 400 Bad Request",
        "Connection: close",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()
