"""`make bench-pages`: the cost of a page by its position and its reader; ratios of medians, measured in turns."""

from __future__ import annotations

import http.client
import os
import random
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from urllib.parse import urlsplit

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT, timestamp
from tests.api.conftest import deployed_settings
from tests.databases import TestDatabase
from tests.server.live import SECRET, Live, command, environment

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "10000"))
PROJECTS = DOCUMENTS // 10
REACHED = 50
STRANGERS = 40
FIRST_TIME = f"page 1, {REACHED} projects never met"
ROUNDS = 400
PAGE = 50
CONTENT = "x" * 200


def document(public_id: int) -> dict[str, object]:
    """Return a document of about 300 bytes."""
    now = timestamp()
    # The multiplier is coprime to PROJECTS, so that neighbours are in different projects.
    project_id = public_id * 7919 % PROJECTS + 1
    head = {"_id": DOCUMENT.doc_id(public_id), "type": "document", "id": public_id, "project_id": project_id}
    return {**head, "title": f"Document {public_id}", "content": CONTENT, "created_at": now, "updated_at": now}


def load(connection: Connection, database: str) -> None:
    """Store and index the documents."""
    for start in range(1, DOCUMENTS + 1, 1000):
        documents = [document(n) for n in range(start, min(start + 1000, DOCUMENTS + 1))]
        connection.post(database, "_bulk_docs", body={"docs": documents}, timeout=60)
    connection.get(database, "_design", "listing", "_view", "by_id", params={"limit": 1}, timeout=600)


class Client:
    """One kept-alive connection."""

    def __init__(self, address: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        # Pages of a limited key are never answered from the response cache; so none are here.
        self._headers = {"X-API-Key": key, "Cache-Control": "no-cache"}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPMessage:
        """Fetch ``path`` to its last byte and return the headers of the answer."""
        try:
            answer = self._ask(path, headers)
        except http.client.RemoteDisconnected:
            # The server closes idle connections.
            answer = self._ask(path, headers)
        answer.read()
        assert answer.status in (200, 304), answer.status
        return answer.headers

    def _ask(self, path: str, headers: Mapping[str, str] | None) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers={**self._headers, **(headers or {})})
        return self._connection.getresponse()

    def page(self, number: int) -> str:
        """Return the path of a page, by walking to it."""
        path = f"/documents?limit={PAGE}"
        for _ in range(number - 1):
            parts = urlsplit(self.get(path)["x-next"])
            path = f"{parts.path}?{parts.query}"
        return path


def in_turns(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each work. They take turns, so that other load affects all equally."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            seconds[name].append(timed(work))
    return {name: statistics.median(samples) for name, samples in seconds.items()}


def measure(live: Live, key: str, limited: list[str]) -> None:
    """Print the cost of each work as a multiple of page 1; the service has not met any of the ``limited`` keys."""
    client = Client(live.address, key)
    reader, *strangers = (Client(live.address, text) for text in limited)
    second_page = reader.page(2)
    last = DOCUMENTS // PAGE
    first_page, middle_page, last_page = (client.page(n) for n in (1, last // 2, last))
    tag = client.get(first_page)["ETag"]
    medians = in_turns(
        {
            "page 1": lambda: client.get(first_page),
            f"page {last // 2}": lambda: client.get(middle_page),
            f"page {last}": lambda: client.get(last_page),
            "page 1, 304": lambda: client.get(first_page, {"If-None-Match": tag}),
            "one document": lambda: client.get("/documents/1"),
            f"page 1, {REACHED} of {PROJECTS} projects": lambda: reader.get(first_page),
            f"page 2, {REACHED} of {PROJECTS} projects": lambda: reader.get(second_page),
        }
    )
    report(medians)
    firsts: dict[str, list[float]] = {"page 1": [], FIRST_TIME: []}
    for stranger in strangers:
        for name, other in (("page 1", client), (FIRST_TIME, stranger)):
            # A first request opens the connection and looks up the key.
            other.get("/documents?ids=1")
            firsts[name].append(timed(partial(other.get, first_page)))
    report({name: statistics.median(samples) for name, samples in firsts.items()})


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(medians: Mapping[str, float]) -> None:
    """Print each cost as a multiple of page 1."""
    for name, median in medians.items():
        print(f"{name:36} {median / medians['page 1']:6.2f} × page 1")


def choices() -> list[list[str]]:
    """Return the projects of each limited key; keys share none if there are enough projects."""
    names = [str(n) for n in random.Random(1).sample(range(1, PROJECTS + 1), PROJECTS)]
    return [[names[(n * REACHED + i) % PROJECTS] for i in range(REACHED)] for n in range(STRANGERS + 1)]


def make_key(environ: dict[str, str], projects: Sequence[str]) -> str:
    """Return the text of a key that reads documents, limited to ``projects`` if given."""
    limit = ["--project", *projects] if projects else []
    return command("keys", "create", "bench", "--scope", "documents:read", *limit, environ=environ).stdout.split()[-1]


def main() -> None:
    """Measure on the tests' database."""
    server, prefix = TestDatabase(), f"bench{secrets.token_hex(3)}"
    print(f"{server.title}; {DOCUMENTS} documents of 300 bytes, pages of {PAGE}, {ROUNDS} rounds")
    url = server.running.url
    connection = Connection(url, timeout=60)
    try:
        deployed_settings(url, prefix)
        load(connection, f"{prefix}-documents")
        environ = environment(
            COUCHDB_URL=url,
            DREAMSCRIPT_DATABASE_PREFIX=prefix,
            DREAMSCRIPT_SECRET_KEY=SECRET,
            DREAMSCRIPT_WORKERS="1",
            DREAMSCRIPT_RATE_LIMIT="off",
        )
        key, *limited = (make_key(environ, choice) for choice in ((), *choices()))
        with Live("serve", environ) as live:
            measure(live, key, limited)
    finally:
        for name in ("documents", "projects", "keys", "meta", "history"):
            connection.delete(f"{prefix}-{name}")
        connection.close()
        server.stop()


if __name__ == "__main__":
    main()
