"""A service with prepared answers, for the tests of the clients."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.datastructures import Headers

from app.errors import Unavailable, Unconfirmed
from proofs.service import Reply


class Scripted:
    """A service that gives prepared answers in turn; None stands for no answer."""

    def __init__(self, *replies: Reply | None) -> None:
        self._replies = list(replies)

    def ask(self, *_: object) -> Reply:
        """Return the next answer. Raises ConnectionError for none."""
        reply = self._replies.pop(0)
        if reply is None:
            raise ConnectionError
        return reply


def reply(status: int, body: object, tag: str = "", **headers: str) -> Reply:
    """Return an answer of the service."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, Headers({"ETag": f'"{tag}"', **named}), json.dumps(body).encode(), 0.1)


def error(status: int, code: str, reason: str = "So it is.") -> Reply:
    """Return an error."""
    return reply(status, {"error": code, "reason": reason, "request_id": "a"}, Retry_After="1")


def shown(value: dict[str, Any], tag: str, **headers: str) -> Reply:
    """Return an answer that shows the document."""
    return reply(200, {"id": 1, **value}, tag, **headers)


ABSENT, FAILED = error(404, "not_found"), error(503, "unavailable", Unavailable.reason)
DOUBTFUL = error(503, "unavailable", Unconfirmed.reason)
