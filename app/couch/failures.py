"""What can go wrong between us and CouchDB, told apart by what is known of the request afterwards."""

from __future__ import annotations


class DatabaseError(Exception):
    """Whatever can go wrong between us and CouchDB. No message contains a URL's credentials."""


class Unreachable(DatabaseError):
    """No connection could be made, so nothing was sent and a write certainly did not happen."""


class AnswerLost(DatabaseError):
    """The request went out and no whole answer came back in time: whether a write happened is unknown."""


class Cancelled(DatabaseError):
    """Nobody waited for the answer to a read any more."""


class Refused(DatabaseError):
    """CouchDB answered with a status of 300 or above."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(f"{status} {error}: {reason}")
        self.status, self.error, self.reason = status, error, reason
