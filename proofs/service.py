"""Run the service as operators do, and request, watch and kill its processes."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from werkzeug.datastructures import Headers

from app.errors import ERRORS, OutcomeUnknown, Unconfirmed
from app.local_couchdb.process import poll
from tests.server.live import Live
from tests.waiting import MAX_WAIT_SECONDS

# Whether the proofs check times as well. The suite shares its machine with others.
IS_PROOF = "DREAMSCRIPT_PROOF_ROUNDS" in os.environ
# Seconds that a request may take, and the margin for a busy machine. Both end before a fault, which lasts a minute.
DEADLINE_SECONDS, ALLOWANCE_SECONDS = 2, 2.0 if IS_PROOF else 30.0
# Seconds within which the service succeeds again after a fault.
RECOVERY_SECONDS = 5.0 if IS_PROOF else MAX_WAIT_SECONDS


# The errors when the database fails, or the worker of the first request was killed.
RETRYABLE = ("unavailable", "idempotency_in_progress")


@dataclass(frozen=True)
class Reply:
    """A whole answer of the service, and its time in seconds."""

    status: int
    headers: Headers
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def is_retryable(self) -> bool:
        """Whether the request should be repeated."""
        return self.status in (409, 503) and self.json["error"] in RETRYABLE

    @property
    def is_unknown(self) -> bool:
        """Whether the service cannot determine whether the first request was carried out."""
        return self.status == 409 and self.json["error"] == OutcomeUnknown.code

    @property
    def is_doubtful(self) -> bool:
        """Whether the write may be stored."""
        return self.is_unknown or (self.status == 503 and self.json["reason"] == Unconfirmed.reason)

    def faults(self, *expected: int) -> list[str]:
        """Return the faults of this answer: not ``expected``, not a documented error of a failing database, or late."""
        faults = []
        if self.seconds > DEADLINE_SECONDS + ALLOWANCE_SECONDS:
            faults.append(f"answered after {self.seconds:.2f} s")
        if self.status not in expected or self.status >= 400:
            faults += self._error_faults((*expected, 409) if self.is_unknown else expected)
        return faults

    def _error_faults(self, expected: tuple[int, ...]) -> list[str]:
        try:
            error = self.json
            sound = (
                set(error) == {"error", "reason", "request_id"} | ({"errors"} if self.status == 400 else set())
                and (error["error"], self.status) in {(each.code, each.status) for each in ERRORS}
                and (
                    self.headers.get("Retry-After", "").isdigit()
                    if error["error"] in RETRYABLE
                    else self.status in expected
                )
            )
        except (ValueError, TypeError, KeyError):
            sound = False
        return [] if sound else [f"{self.status} {dict(self.headers)} {self.body[:300]!r}"]


@dataclass(frozen=True)
class Footprint:
    """The open descriptors of a process, and its resident memory in bytes."""

    descriptors: int
    memory: int


class Service(Live):
    """`python -m app serve` with the workers and the deadline that ``environ`` sets, by default DEADLINE_SECONDS."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._count = int(environ["DREAMSCRIPT_WORKERS"])
        super().__init__(
            "serve", {"DREAMSCRIPT_DEADLINE": str(DEADLINE_SECONDS), **environ, "DREAMSCRIPT_RATE_LIMIT": "off"}
        )
        self.await_workers()

    def __enter__(self) -> Self:
        return self

    def workers(self) -> set[int]:
        """Return the process ids of the workers that run."""
        process = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
        rows = (line.split() for line in process.stdout.splitlines())
        return {int(pid) for pid, parent, state in rows if int(parent) == self._process.pid and state[0] != "Z"}

    def await_workers(self, gone: int | None = None) -> None:
        """Wait until all workers run, and ``gone`` is none of them."""
        assert poll(lambda: len(self.workers() - {gone}) == self._count, MAX_WAIT_SECONDS), "a worker did not come back"

    def kill(self, worker: int) -> None:
        """Kill one worker, as the system does when memory is short, and wait for its successor."""
        os.kill(worker, signal.SIGKILL)
        self.await_workers(gone=worker)

    def ask(
        self,
        method: str,
        path: str,
        key: str | None = None,
        value: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request over a connection of its own.

        Raises OSError and HTTPException when there is no whole answer.
        """
        own = {"Content-Type": "application/json", "Connection": "close", **({"X-API-Key": key} if key else {})}
        started = time.monotonic()
        with closing(self.connect()) as connection:
            body = None if value is None else json.dumps(value)
            connection.request(method, path, body, {**own, **(headers or {})})
            answer = connection.getresponse()
            content = answer.read()
        return Reply(answer.status, Headers(answer.headers.items()), content, time.monotonic() - started)

    def answer(self, method: str, path: str, key: str, value: object = None) -> Reply:
        """Return the answer to a request that is repeated after a 503, since a busy database may miss the deadline."""
        headers = {"Idempotency-Key": secrets.token_hex(8)} if method == "POST" else {}

        def attempt() -> Reply | None:
            reply = self.ask(method, path, key, value, headers)
            return None if reply.is_retryable else reply

        reply = poll(attempt, MAX_WAIT_SECONDS)
        assert reply, f"{method} {path} was not answered within {MAX_WAIT_SECONDS} s"
        return reply


def footprint(process: int) -> Footprint:
    """Return the resources of a process from /proc (proc(5))."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return Footprint(len(os.listdir(f"/proc/{process}/fd")), pages * os.sysconf("SC_PAGE_SIZE"))


# The exceptions of a request whose process dies.
NO_ANSWER = (OSError, http.client.HTTPException)
