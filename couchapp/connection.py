"""The one way to speak to CouchDB: python-couchdb's resource over a session that keeps deadlines and never re-sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class DatabaseError(Exception):
    """Whatever can go wrong between us and CouchDB. No message contains a URL's credentials."""


class Unreachable(DatabaseError):
    """No connection could be made, so nothing was sent and a write certainly did not happen."""


class Interrupted(DatabaseError):
    """The request went out and no whole answer came back in time: whether a write happened is unknown."""


class Refused(DatabaseError):
    """CouchDB answered with a status of 400 or above."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(f"{status} {error}: {reason}")
        self.status, self.error, self.reason = status, error, reason


@dataclass(frozen=True)
class Answer:
    """What CouchDB answered below status 400: its header names are in lower case, its body is decoded JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any
