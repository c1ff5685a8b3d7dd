"""One client's requests during faults: each answer is counted and checked against the documentation."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from datetime import UTC, datetime

from proofs.campaign import REPEATS, RETRY_SECONDS
from proofs.service import NO_ANSWER, Reply, Service

# Requests that a report of a failure shows.
RECENT = 30


class Requests:
    """Send requests with one key; ``slowest`` is the longest time, in seconds.

    ``faults`` lists answers that were late or undocumented, and does not stop the client; ``recent`` holds the last
    requests and answers, for the report of a failure.
    """

    def __init__(self, service: Service, key: str, rng: random.Random, answered: Counter[str]) -> None:
        self._service, self._key, self._random, self._answered = service, key, rng, answered
        self.faults: list[str] = []
        self.slowest = 0.0
        self.recent: deque[str] = deque(maxlen=RECENT)

    def once(
        self,
        method: str,
        path: str,
        value: object = None,
        *,
        expected: tuple[int, ...],
        tag: str | None = None,
        key: str | None = None,
    ) -> Reply | None:
        """Send one request. Returns its answer or None; one that is not retryable must be as ``expected``."""
        given = {"If-Match": tag, "Idempotency-Key": key, "Cache-Control": "no-cache" if method == "GET" else None}
        headers = {name: text for name, text in given.items() if text is not None}
        line = f"{datetime.now(UTC):%T.%f} {method} {path} {value} {headers}"
        try:
            reply = self._service.ask(method, path, self._key, value, headers)
        except NO_ANSWER:
            self._answered["dropped"] += 1
            self.recent.append(f"{line}: no answer")
            return None
        self.recent.append(f"{line}: {reply.status} {reply.headers.get('ETag')} {reply.body[:500]!r}")
        self._answered[str(reply.status)] += 1
        self.slowest = max(self.slowest, reply.seconds)
        faults = [f"{method} {path}: {fault}" for fault in reply.faults(*expected)]
        if key and reply.is_unknown:
            self._answered["unknown"] += 1
        if reply.is_retryable or reply.status in expected or (key and reply.is_unknown):
            self.faults += faults
        else:
            raise AssertionError(faults)
        return reply

    def read(self, path: str) -> Reply:
        """Return the item or a 404, as soon as the service can answer."""
        return self._until_final("GET", path, None, expected=(200, 404))

    def repeated(
        self, method: str, path: str, value: object = None, *, expected: tuple[int, ...], tag: str | None = None
    ) -> Reply:
        """Repeat a request with an `Idempotency-Key` until it is answered, and then once more. Returns the answer."""
        key = f"{self._random.getrandbits(128):032x}"
        first, again = (
            self._until_final(method, path, value, expected=expected, tag=tag, key=key) for _ in ("first", "again")
        )
        assert again.headers["Idempotency-Replayed"] == "true"
        assert essence(again) == essence(first), f"{method} {path} was answered otherwise when it was repeated"
        return first

    def _until_final(
        self,
        method: str,
        path: str,
        value: object,
        *,
        expected: tuple[int, ...],
        tag: str | None = None,
        key: str | None = None,
    ) -> Reply:
        for _ in range(REPEATS):
            reply = self.once(method, path, value, expected=expected, tag=tag, key=key)
            if reply is not None and is_final(reply):
                return reply
            # Sooner than `Retry-After`, but not in a busy loop.
            time.sleep(RETRY_SECONDS)
        raise AssertionError(f"{method} {path} was not answered {REPEATS} times")


def essence(reply: Reply) -> tuple[int, str | None, bytes]:
    """Return the parts that are equal in all answers to a repeated request."""
    return reply.status, reply.headers.get("ETag"), reply.body


def is_final(reply: Reply) -> bool:
    """Return whether an answer is definite for the whole request; the outcomes of a batch may be partly retryable."""
    body = reply.json if reply.body and not reply.is_retryable else {}
    outcomes = body.get("outcomes", ()) if isinstance(body, dict) else ()
    return not reply.is_retryable and all(outcome["status"] < 500 for outcome in outcomes)
