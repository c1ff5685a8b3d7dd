"""Runs new functions in the database's own JavaScript engine, in a scratch database, before they are stored.

CouchDB compiles a validator only when something is written, PouchDB treats a view that does not compile as empty, and
both ignore errors that a map function throws. A validator can report an error to its caller, so each function is run
inside one.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

from app.couch.connection import Refused
from couchapp.databases import Databases
from couchapp.ddoc_ids import VALIDATOR
from couchapp.tree import BUILT_IN, DeployError, Document

SCRATCH = "smoke-test-"
# An older scratch database was left behind by an interrupted test.
MAX_AGE_SECONDS = 600
MAX_SAMPLES = 50
MAX_SAMPLE_BYTES = 2_000_000
MAX_TRIES = 20
RETRY_SECONDS = 0.05

CALL_MAP = "tested(doc)"
CALL_VALIDATOR = "tested(doc, null, {name: null, roles: []}, {}), tested(doc, doc, {name: null, roles: []}, {})"
# The wrapper catches errors that the function throws, since CouchDB does not report their message.
WRAPPER = """(newDoc) => {
  const emit = () => {};
  const tested = (
%(source)s
  );
  newDoc.samples.forEach((doc) => {
    try {
      %(call)s;
    } catch (error) {
      if (!error || (error.forbidden === undefined && error.unauthorized === undefined)) {
        throw({forbidden: `it throws ${error} for ${doc._id}`});
      }
    }
  });
  throw({forbidden: %(passed)s});
}"""
# Replication and Fauxton may bring such documents into any database.
ODD_TYPES: tuple[Any, ...] = ("document", "project", "key", "claim", None, [], {"type": {}})
ODD_VALUES: tuple[Any, ...] = (None, -1, 1.5, 1e300, "", [], {})
HOSTILE: list[Document] = [
    {"_id": "an empty document"},
    {"_id": "a tombstone", "_rev": "2-0", "_deleted": True},
    *(
        {"_id": f"one of type {kind}", "type": kind, **dict.fromkeys(("id", "key", "project_id", "title"), value)}
        for kind, value in product(ODD_TYPES, ODD_VALUES)
    ),
]


class SmokeTestError(DeployError):
    """A function does not compile, or throws an error; nothing has been deployed."""


class SmokeTest:
    """Runs functions in a scratch database."""

    def __init__(self, databases: Databases, scratch: str) -> None:
        self._databases, self._scratch = databases, scratch

    def check(self, database: str, document: Document) -> None:
        """Run every function of a design document on hostile documents and on samples from ``database``.

        Raises SmokeTestError, which names the file.
        """
        samples = HOSTILE + list(_samples(self._databases, database))
        folder = f"{database}/{document['_id'].removeprefix('_design/')}"
        for view, functions in document.get("views", {}).items():
            self._run(f"{folder}/views/{view}/map.js", functions["map"], CALL_MAP, samples)
            if functions.get("reduce", BUILT_IN[0]) not in BUILT_IN:
                self._run(f"{folder}/views/{view}/reduce", functions["reduce"], "tested", samples)
        if VALIDATOR in document:
            self._run(f"{folder}/{VALIDATOR}.js", document[VALIDATOR], CALL_VALIDATOR, samples)

    def _run(self, path: str, source: str, call: str, samples: list[Document]) -> None:
        passed = secrets.token_hex(8)
        wrapper = WRAPPER % {"source": source, "call": call, "passed": json.dumps(passed)}
        current = (self._databases.design_documents(self._scratch) or {}).get("test")
        self._databases.put(self._scratch, {"_id": "_design/test", VALIDATOR: wrapper}, current)
        for _ in range(MAX_TRIES):
            reason = self._write({"samples": samples})
            if reason == passed:
                return
            # A shard may run the previous wrapper for a moment, whose reason is a token of the same length.
            if reason is not None and len(reason) != len(passed):
                raise SmokeTestError(f"{path}: {reason}")
            time.sleep(RETRY_SECONDS)
        raise SmokeTestError(f"{path}: the database did not run it")

    def _write(self, document: Document) -> str | None:
        try:
            self._databases.request("POST", self._scratch, body=document)
        except Refused as refusal:
            if refusal.error == "compilation_error":
                # The server adds the source, which is that of the wrapper.
                return f"does not compile: {refusal.reason.partition('(newDoc)')[0].rstrip(' (')}"
            return refusal.reason if refusal.status == 403 else f"{refusal.error}: {refusal.reason}"
        return None


@contextmanager
def smoke_test(databases: Databases) -> Iterator[SmokeTest]:
    """Create a scratch database, and delete it at the end of the context."""
    scratch = f"{SCRATCH}{int(time.time())}-{secrets.token_hex(4)}"
    databases.create(scratch)
    try:
        yield SmokeTest(databases, scratch)
    finally:
        databases.request("DELETE", scratch)


def remove_leftovers(databases: Databases, max_age: float = MAX_AGE_SECONDS) -> None:
    """Delete the scratch databases of interrupted tests."""
    prefix = databases.full_name(SCRATCH)
    for name in databases.connection.get("_all_dbs").body:
        created_at = name.removeprefix(prefix).partition("-")[0]
        if name.startswith(prefix) and created_at.isdecimal() and int(created_at) < time.time() - max_age:
            databases.request("DELETE", name.removeprefix(f"{databases.prefix}-"))


def _samples(databases: Databases, database: str) -> Iterator[Document]:
    """Yield some documents from both ends of ``database``."""
    bytes_left = MAX_SAMPLE_BYTES
    for descending in (False, True):
        params = {"include_docs": True, "limit": MAX_SAMPLES, "descending": descending}
        for row in databases.request("GET", database, "_all_docs", params=params).body["rows"]:
            bytes_left -= len(json.dumps(row["doc"]))
            if bytes_left > 0 and not row["id"].startswith("_design/"):
                yield row["doc"]
