"""Run wrk, the load generator, against one server, and parse its results."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
MEASURED = re.compile(r"^measured (.+)$", re.MULTILINE)
ERRORS = ("connect", "read", "write", "status", "timeout")
# Seconds without an answer after which wrk counts an error.
PATIENCE = 10
# A member of documents in a body. Each is sent with its own number instead, as the service gives ids.
NUMBERED = {"numbered": True}
MARK = '"numbered": true'
MISSING = "wrk, which sends the requests, is not installed: install the package wrk"


class WrongAnswer(Exception):
    """A server did not answer as expected, so the measurement is void."""


@dataclass(frozen=True)
class Request:
    """A request without the headers that its target adds to all; ``body`` is one line of JSON."""

    path: str
    method: str = "GET"
    tag: str = ""
    body: str = ""

    @property
    def line(self) -> str:
        """The request as the script reads it."""
        return "\t".join((self.method, self.path, self.tag, self.body))


@dataclass(frozen=True)
class Target:
    """Requests to one server, sent in turn; each answer must have the status ``expects``."""

    address: str
    headers: Mapping[str, str] = field(repr=False)
    requests: Sequence[Request] = field(repr=False)
    expects: int = 200


@dataclass(frozen=True)
class Load:
    """The results of one run of wrk; ``p50`` and ``p99`` are seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def is_installed() -> bool:
    """Return whether wrk is installed."""
    return shutil.which("wrk") is not None


def parse(output: str) -> Load:
    """Parse the script's last line. Raises WrongAnswer for errors, and if there was no answer."""
    match = MEASURED.search(output)
    if not match:
        raise WrongAnswer(f"wrk measured nothing: {output}")
    values = {name: float(value) for name, value in (pair.split("=") for pair in match[1].split())}
    errors = {name: int(values[name]) for name in ERRORS if values[name]}
    if errors or not values["requests"]:
        raise WrongAnswer(f"of {values['requests']:.0f} requests some failed: {errors or 'all'}")
    return Load(int(values["requests"]), values["seconds"], values["p50"], values["p99"])


def run(target: Target, connections: int, seconds: float, start: int = 0) -> Load:
    """Load ``target`` with one thread, beginning after ``start`` of its requests. Raises WrongAnswer.

    wrk does not distinguish 200 from 304, and reading each status in its script would slow it down: see check.
    """
    # wrk accepts whole seconds only.
    options = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", f"--timeout={PATIENCE}s", f"-s{SCRIPT}"]
    for name, value in target.headers.items():
        options += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.writelines(f"{request.line}\n" for request in target.requests)
        file.flush()
        command = ["wrk", *options, f"http://{target.address}", "--", file.name, str(start), str(next_number())]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(process.stdout + process.stderr)


def check(target: Target, start: int = 0) -> None:
    """Send one of the requests. Raises WrongAnswer for an unexpected answer."""
    request = target.requests[start % len(target.requests)]
    status, _, body = send(target, request)
    if status != target.expects or not is_sound(body):
        raise WrongAnswer(f"{request.method} {request.path} gave {status} instead of {target.expects}: {body[:500]!r}")


def send(target: Target, request: Request) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request. Returns the status, headers and body of the answer."""
    connection = http.client.HTTPConnection(target.address, timeout=60)
    headers = {**target.headers, **({"If-None-Match": request.tag} if request.tag else {})}
    connection.request(request.method, request.path, numbered(request.body) or None, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def next_number() -> int:
    """Return a number above all earlier ones: the time in microseconds, which has 16 digits as `_id`s do."""
    return time.time_ns() // 1000


def numbered(body: str) -> str:
    """Return ``body`` with a number for each of its marked documents, as the script does it."""
    numbers = count(next_number())
    return re.sub(MARK, lambda _: '"_id": "document:{0}", "id": {0}'.format(next(numbers)), body)


def is_sound(body: bytes) -> bool:
    """Return whether every write succeeded, if the body lists several."""
    answer = json.loads(body) if body else None
    if isinstance(answer, dict) and "outcomes" in answer:
        return all(outcome["status"] < 300 for outcome in answer["outcomes"])
    return not isinstance(answer, list) or not any("error" in entry for entry in answer)
