"""Set up a database server, documents in it, and services that serve them."""

from __future__ import annotations

import http.client
import json
import os
import secrets
from base64 import b64encode
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT, timestamp
from app.local_couchdb.process import poll
from app.store.claimed_ids import block
from app.store.items import digits
from bench import processes
from tests.api.conftest import deployed_settings
from tests.databases import TestDatabase
from tests.server.live import SECRET, Live, command, environment

CHUNK = 1000
# Documents between two updates of the index, so that neither step takes long.
INDEXED = 20_000
CONTENT = "x" * 200
WORKERS = 2
# The limits are checked and never reached.
LIMITS = "read=99999/second,write=99999/second"


@dataclass(frozen=True)
class Installation:
    """Databases with documents 1 to ``documents``, and a key that reads and writes them."""

    couchdb: str = field(repr=False)
    prefix: str
    documents: int
    key: str = field(default="", repr=False)
    workers: int = WORKERS

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables of a service on these databases."""
        return environment(
            COUCHDB_URL=self.couchdb,
            DREAMSCRIPT_DATABASE_PREFIX=self.prefix,
            DREAMSCRIPT_SECRET_KEY=SECRET,
            DREAMSCRIPT_WORKERS=str(self.workers),
            DREAMSCRIPT_RATE_LIMIT=LIMITS,
        )

    @property
    def database(self) -> str:
        """The name of the documents' database."""
        return f"{self.prefix}-documents"

    def serve(self) -> Live:
        """Start a service and wait until all of its workers run."""
        live = Live("serve", self.environ, keep_log=False)
        poll(lambda: len(processes.descendants(live.pid)) >= self.workers, 10)
        return live


class Environment(AbstractContextManager["Environment"]):
    """The database server of the tests, and the installations on it, which are deleted at the end."""

    def __init__(self) -> None:
        before = processes.children(os.getpid())
        self._server = TestDatabase()
        self.name = self._server.running.name
        self.url = self._server.running.url
        # The CPU time of a server that another program started is unknown.
        self.processes = [pid for pid in processes.children(os.getpid()) if pid not in before]
        self.prefix = f"bench{secrets.token_hex(3)}"
        self.connection = Connection(self.url, timeout=600)

    @property
    def couchdb(self) -> tuple[str, dict[str, str]]:
        """The server's address, and the headers that identify its administrator."""
        parts = urlsplit(self.url)
        userinfo, _, address = parts.netloc.rpartition("@")
        if not userinfo:
            return address, {}
        return address, {"Authorization": f"Basic {b64encode(unquote(userinfo).encode()).decode()}"}

    def install(self, documents: int, name: str = "") -> Installation:
        """Deploy, store the documents, and make a key."""
        keyless = Installation(self.url, f"{self.prefix}{name}", documents)
        deployed_settings(self.url, keyless.prefix)
        load(self.connection, keyless.database, documents, print)
        self.connection.put(f"{keyless.prefix}-meta", _claim(documents)["_id"], body=_claim(documents))
        scopes = [part for scope in ("documents:read", "documents:write") for part in ("--scope", scope)]
        process = command("keys", "create", "bench", *scopes, environ=keyless.environ)
        assert process.returncode == 0, process.stderr
        return Installation(keyless.couchdb, keyless.prefix, documents, process.stdout.split()[-1])

    def __exit__(self, *_: object) -> None:
        try:
            for name in self.connection.get("_all_dbs").body:
                if name.startswith(self.prefix):
                    self.connection.delete(name)
            self.connection.close()
        finally:
            self._server.stop()


def get(installation: Installation, address: str, path: str) -> dict[str, object]:
    """Return the JSON at ``path``."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path, headers={"X-API-Key": installation.key})
    response = connection.getresponse()
    body: dict[str, object] = json.loads(response.read())
    connection.close()
    assert response.status == 200, body
    return body


def document(public_id: int) -> dict[str, object]:
    """Return a document of about 300 bytes as the service stores it."""
    now = timestamp()
    head = {"_id": DOCUMENT.doc_id(public_id), "type": "document", "id": public_id}
    return {**head, "title": f"Document {public_id}", "content": CONTENT, "created_at": now, "updated_at": now}


def load(connection: Connection, database: str, documents: int, report: Callable[[str], None]) -> None:
    """Store and index documents, step by step."""
    for start in range(1, documents + 1, CHUNK):
        end = min(start + CHUNK, documents + 1)
        connection.post(database, "_bulk_docs", body={"docs": [document(n) for n in range(start, end)]})
        if (end - 1) % INDEXED == 0 or end > documents:
            connection.get(database, "_design", "listing", "_view", "by_id", params={"limit": 1})
            report(f"{end - 1:,} of {documents:,} documents stored and indexed")


def _claim(documents: int) -> dict[str, Any]:
    """Return the claims that keep the service from assigning the ids of the ``documents``, which it did not create."""
    number = next(n for n in range(documents + 1) if documents in block(n))
    head = {"_id": f"claim:document:{digits(number)}", "type": "claim", "kind": "document", "number": number}
    return {**head, "region": 0, "created_at": timestamp()}
