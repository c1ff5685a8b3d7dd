"""A service as operators run it: a process of its own that serves HTTP and is ended by signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, redirect_stderr, redirect_stdout
from http.client import HTTPConnection
from io import StringIO
from types import MappingProxyType
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit

from app.cli.main import main
from tests.waiting import MAX_WAIT_SECONDS

SECRET = "a secret for tests"

T = TypeVar("T")


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment without the project's settings, and with ``settings``."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DREAMSCRIPT_", "COUCHDB_"))}
    return {**own, **settings}


def command(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m app` to its end, in this process, since a new one takes a second to import the application."""
    stdout, stderr = StringIO(), StringIO()
    with patch.dict(os.environ, environ, clear=True), redirect_stdout(stdout), redirect_stderr(stderr):
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's way to refuse arguments.
            assert isinstance(end.code, int)
            code = end.code
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


def create_key(environ: Mapping[str, str], scopes: Iterable[str], *options: str) -> dict[str, Any]:
    """Create a key on the command line; return its JSON, with the `id` and the text as `key`."""
    created = command("keys", "create", "test", "--scope", *scopes, "--json", *options, environ=environ)
    key: dict[str, Any] = json.loads(created.stdout)
    return key


class Live(AbstractContextManager["Live"]):
    """`python -m app serve` or `run`, on a free port, with its log at hand.

    If ``keep_log`` is false, its log is dropped after the start, since a long run under load would fill the memory.
    """

    def __init__(self, verb: str, environ: Mapping[str, str], keep_log: bool = True) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app", verb],
            env={**environ, "DREAMSCRIPT_PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.logged: list[str] = []
        self._news, self._dropping = threading.Condition(), threading.Event()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self._process.stdout, self.said), (self._process.stderr, self.logged))
        ]
        for reader in self._readers:
            reader.start()
        self.address = self.wait_for(self._listening)
        self.wait_for(lambda: [line for line in self.logged if "worker started" in line])
        if not keep_log:
            self._dropping.set()

    @property
    def pid(self) -> int:
        """The id of the process that was started, which may have started others."""
        return self._process.pid

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
            if self._dropping.is_set():
                while stream.read(2**16):
                    pass
        stream.close()

    def wait_for(self, find: Callable[[], T]) -> T:
        """Poll ``find`` on the output, and return its first true result."""
        with self._news:
            self._news.wait_for(lambda: find() or self._process.poll() is not None, MAX_WAIT_SECONDS)
            result = find()
        assert result, "\n".join(self.said + self.logged)
        return result

    def events(self, last: int = 0) -> list[dict[str, Any]]:
        """Return the log so far, or its ``last`` lines; every line that was whole is a JSON object."""
        return [json.loads(line) for line in self.logged[-last:] if line.startswith("{")]

    def _listening(self) -> str:
        starts = (line.partition("listening on ")[2] for line in self.logged)
        return next((urlsplit(re.split(r'[" ]', start)[0]).netloc for start in starts if start), "")

    def connect(self) -> HTTPConnection:
        """Return a connection to the service."""
        return HTTPConnection(self.address, timeout=MAX_WAIT_SECONDS)

    def request(
        self,
        method: str,
        path: str,
        key: str | None = None,
        value: object = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, Any]:
        """Send one request; return its status and its JSON."""
        connection = self.connect()
        own = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
        connection.request(method, path, None if value is None else json.dumps(value), {**own, **headers})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if body else None

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the process's exit code when it has ended."""
        code = self._process.wait(MAX_WAIT_SECONDS)
        for reader in self._readers:
            reader.join(MAX_WAIT_SECONDS)
        return code

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self.wait()
            finally:
                self._process.kill()
        self.wait()
