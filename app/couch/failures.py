"""The errors of a request to CouchDB, one class for each thing that may be true of the request afterwards."""

from __future__ import annotations


class DatabaseError(Exception):
    """A request to CouchDB failed. No message contains a URL's credentials."""


class Unreachable(DatabaseError):
    """No connection could be opened, so nothing was sent: a write certainly did not happen."""


class AnswerLost(DatabaseError):
    """The request was sent and no complete answer arrived in time: a write may or may not have happened."""


class Cancelled(DatabaseError):
    """The caller no longer needs the answer to a read."""


class Refused(DatabaseError):
    """CouchDB answered with a status of 300 or above."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(f"{status} {error}: {reason}")
        self.status, self.error, self.reason = status, error, reason
