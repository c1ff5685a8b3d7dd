"""Counts the project files that a request enters and the depth of its stack: `python -m bench.request_path`.

A file counts if a function of it is called between a request's first call and its last: in the thread that answers
it, or in any. The depth is the largest number of frames of project files on one stack. Each request is the second of
a new application, after the `GET` of another document, so that its key is known and no cache answers it.
"""

from __future__ import annotations

import secrets
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.test import Client, TestResponse

import app
from app import create_app
from tests.api.conftest import deployed_settings
from tests.databases import TestDatabase
from tests.server.live import SECRET, command, environment

ROOT = Path(app.__file__).parents[1]
PROJECT = tuple(f"{ROOT / package}/" for package in ("app", "couchapp"))


class Tracer:
    """A profile function (sys.setprofile) that records the calls of project files while a request is traced.

    ``files`` holds those of the main thread under True, and those of all other threads under False.
    """

    def __init__(self) -> None:
        self._is_recording = False
        self.files: dict[bool, set[str]] = {}
        self.depth = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Record one call."""
        if event == "call" and self._is_recording and is_project(frame):
            self.files[threading.current_thread() is threading.main_thread()].add(frame.f_code.co_filename)
            self.depth = max(self.depth, depth(frame))

    def trace(self, client: Client, method: str, path: str, **content: Any) -> TestResponse:
        """Send a request and record its calls."""
        self.files, self.depth = {True: set(), False: set()}, 0
        self._is_recording = True
        response = client.open(path, method=method, **content)
        self._is_recording = False
        assert response.status_code in (200, 201), response.text
        return response


def is_project(frame: FrameType) -> bool:
    """Return whether a frame's code is a file of the project."""
    return frame.f_code.co_filename.startswith(PROJECT)


def depth(frame: FrameType | None) -> int:
    """Return the number of project frames on the stack that ends with ``frame``."""
    frames = 0
    while frame is not None:
        frames += is_project(frame)
        frame = frame.f_back
    return frames


def main() -> None:
    """Trace each kind of request once and print a table."""
    server, prefix = TestDatabase(), f"path{secrets.token_hex(3)}"
    settings = deployed_settings(server.running.url, prefix, secrets=(SECRET,))
    environ = environment(
        COUCHDB_URL=settings.couchdb_url, DREAMSCRIPT_DATABASE_PREFIX=prefix, DREAMSCRIPT_SECRET_KEY=SECRET
    )
    created = command("keys", "create", "path", "--scope", "documents:read", "documents:write", environ=environ)
    headers = {"X-API-Key": created.stdout.split()[-1]}
    tracer = Tracer()
    threading.setprofile(tracer)
    sys.setprofile(tracer)
    setup = Client(create_app(settings))
    for title in ("one", "two"):
        tracer.trace(setup, "POST", "/documents", headers=headers, json={"title": title})
    print(f"{'request':<22}{'files':>7}{'all threads':>13}{'depth':>7}")
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/documents?limit=10", {}),
        ("GET", "/documents/1", {}),
        ("POST", "/documents", {"json": {"title": "three"}}),
        ("PATCH", "/documents/1", {"json": {"title": "four"}}),
    ]
    for method, path, content in requests:
        client = Client(create_app(settings))
        tracer.trace(client, "GET", "/documents/2", headers=headers)
        tracer.trace(client, method, path, headers=headers, **content)
        own, others = tracer.files[True], tracer.files[False]
        print(f"{method + ' ' + path:<22}{len(own):>7}{len(own | others):>13}{tracer.depth:>7}")
    sys.setprofile(None)
    threading.setprofile(None)
    server.stop()


if __name__ == "__main__":
    main()
