"""`make bench`: what a page costs, wherever it is; ratios of medians, measured in turns in one run."""

from __future__ import annotations

import http.client
import os
import secrets
import statistics
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from app.domain.clock import timestamp
from app.domain.kinds import DOCUMENT
from couchapp.connection import Connection
from tests.api.conftest import deployed_settings
from tests.cli.live import SECRET, Live, command, environment
from tests.databases import TestDatabase

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "10000"))
ROUNDS = 400
PAGE = 50
CONTENT = "x" * 200


def document(public_id: int) -> dict[str, object]:
    """Return a document of about 300 bytes."""
    now = timestamp()
    head = {"_id": DOCUMENT.key(public_id), "type": "document", "id": public_id}
    return {**head, "title": f"Document {public_id}", "content": CONTENT, "created_at": now, "updated_at": now}


def load(connection: Connection, database: str) -> None:
    """Store the documents."""
    for start in range(1, DOCUMENTS + 1, 1000):
        documents = [document(n) for n in range(start, min(start + 1000, DOCUMENTS + 1))]
        connection.post(database, "_bulk_docs", body={"docs": documents}, timeout=60)


class Client:
    """One kept-alive connection."""

    def __init__(self, address: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._headers = {"X-API-Key": key}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> http.client.HTTPMessage:
        """Fetch ``path`` to its last byte and return the headers of the answer."""
        self._connection.request("GET", path, headers={**self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status in (200, 304), answer.status
        return answer.headers

    def page(self, number: int) -> str:
        """Return the path of a page, found by walking there."""
        path = f"/documents?limit={PAGE}"
        for _ in range(number - 1):
            parts = urlsplit(self.get(path)["x-next"])
            path = f"{parts.path}?{parts.query}"
        return path


def in_turns(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each work. They take turns, so that what else the machine does hits all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def measure(live: Live, key: str) -> None:
    """Print each work's cost as a multiple of that of page 1."""
    client = Client(live.address, key)
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
        }
    )
    for name, median in medians.items():
        print(f"{name:16} {median / medians['page 1']:6.2f} × page 1")


def main() -> None:
    """Measure on the database that the tests would use."""
    server, prefix = TestDatabase(), f"bench{secrets.token_hex(3)}"
    print(f"{server.title}; {DOCUMENTS} documents of 300 bytes, pages of {PAGE}, {ROUNDS} rounds")
    url = server.running.url
    connection = Connection(url, timeout=60)
    try:
        deployed_settings(url, prefix)
        load(connection, f"{prefix}-documents")
        environ = environment(
            COUCHDB_URL=url, DREAMSCRIPT_DATABASE_PREFIX=prefix, DREAMSCRIPT_SECRET_KEY=SECRET, DREAMSCRIPT_WORKERS="1"
        )
        key = command("keys", "create", "bench", "--scope", "documents:read", environ=environ).stdout.split()[-1]
        with Live("serve", environ) as live:
            measure(live, key)
    finally:
        for name in ("documents", "projects", "keys", "meta"):
            connection.delete(f"{prefix}-{name}")
        connection.close()
        server.stop()


if __name__ == "__main__":
    main()
