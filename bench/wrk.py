"""Runs wrk, the load generator, against one server, and reads what it measured."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = Path(__file__).with_name("wrk.lua")
MEASURED = re.compile(r"^measured (.+)$", re.MULTILINE)
ERRORS = ("connect", "read", "write", "status", "timeout")
# Seconds without an answer that wrk counts as an error.
PATIENCE = 10
MISSING = "wrk, which sends the requests, is not installed: install the package wrk"


class WrongAnswer(Exception):
    """A server did not answer as it should, so that what was measured means nothing."""


@dataclass(frozen=True)
class Request:
    """A request without what all requests of its target have in common; ``body`` is one line of JSON."""

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
    """Requests to one server, sent in turn, of which each is answered with the status ``expects``."""

    address: str
    headers: Mapping[str, str] = field(repr=False)
    requests: Sequence[Request] = field(repr=False)
    expects: int = 200


@dataclass(frozen=True)
class Load:
    """What one run of wrk measured; ``p50`` and ``p99`` are seconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.requests / self.seconds


def is_installed() -> bool:
    """Tell whether there is a wrk."""
    return shutil.which("wrk") is not None


def parse(output: str) -> Load:
    """Return what the script's last line says. Raises WrongAnswer for errors, and where nothing was answered."""
    found = MEASURED.search(output)
    if not found:
        raise WrongAnswer(f"wrk measured nothing: {output}")
    values = {name: float(value) for name, value in (pair.split("=") for pair in found[1].split())}
    errors = {name: int(values[name]) for name in ERRORS if values[name]}
    if errors or not values["requests"]:
        raise WrongAnswer(f"of {values['requests']:.0f} requests some failed: {errors or 'all'}")
    return Load(int(values["requests"]), values["seconds"], values["p50"], values["p99"])


def run(target: Target, connections: int, seconds: float, start: int = 0) -> Load:
    """Load ``target`` with one thread, beginning after ``start`` of its requests. Raises WrongAnswer.

    wrk takes 200 and 304 alike, and to read each status in its script would slow it down: see check.
    """
    # wrk takes whole seconds only.
    options = ["-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", f"--timeout={PATIENCE}s", f"-s{SCRIPT}"]
    for name, value in target.headers.items():
        options += ["-H", f"{name}: {value}"]
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.writelines(f"{request.line}\n" for request in target.requests)
        file.flush()
        command = ["wrk", *options, f"http://{target.address}", "--", file.name, str(start)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return parse(done.stdout + done.stderr)


def check(target: Target, start: int = 0) -> None:
    """Send one of the requests. Raises WrongAnswer if its answer is not what it should be."""
    request = target.requests[start % len(target.requests)]
    status, _, body = send(target, request)
    if status != target.expects or not is_sound(body):
        raise WrongAnswer(f"{request.method} {request.path} gave {status} instead of {target.expects}: {body[:500]!r}")


def send(target: Target, request: Request) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request; return the status, headers and body of its answer."""
    connection = http.client.HTTPConnection(target.address, timeout=60)
    headers = {**target.headers, **({"If-None-Match": request.tag} if request.tag else {})}
    connection.request(request.method, request.path, request.body or None, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def is_sound(body: bytes) -> bool:
    """Tell whether every one of many writes was done, where the answer tells of many."""
    said = json.loads(body) if body else None
    if isinstance(said, dict) and "outcomes" in said:
        return all(outcome["status"] < 300 for outcome in said["outcomes"])
    return not isinstance(said, list) or not any("error" in entry for entry in said)
