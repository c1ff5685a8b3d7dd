"""Tries new functions in the database's own JavaScript before anyone depends on them, in a database of their own.

CouchDB compiles a validator only when something is written, PouchDB takes a view that does not compile for an empty
one, and both swallow what a map function throws. A validator can tell its caller what happened, so each function is
run inside one.
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
from couchapp.tree import BUILT_IN, Document

SCRATCH = "trial-"
# A trial that is older, in seconds, was left behind.
MAX_AGE = 600
SAMPLES = 50
SAMPLE_BYTES = 2_000_000
TRIES = 20

TRY_MAP = "tried(doc)"
TRY_VALIDATOR = "tried(doc, null, {name: null, roles: []}, {}), tried(doc, doc, {name: null, roles: []}, {})"
# The wrapper catches what the function throws, since CouchDB does not pass on what an error says.
WRAPPER = """(newDoc) => {
  const emit = () => {};
  const tried = (
%(source)s
  );
  newDoc.samples.forEach((doc) => {
    try {
      %(run)s;
    } catch (error) {
      if (!error || (error.forbidden === undefined && error.unauthorized === undefined)) {
        throw({forbidden: `it throws ${error} for ${doc._id}`});
      }
    }
  });
  throw({forbidden: %(mark)s});
}"""
# What replication and Fauxton may bring into any database.
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


class TrialError(Exception):
    """A function does not compile, or throws where it must not; nothing has been deployed."""


class Trial:
    """A scratch database in which functions run."""

    def __init__(self, databases: Databases, scratch: str) -> None:
        self._databases, self._scratch = databases, scratch

    def check(self, database: str, document: Document) -> None:
        """Run every function of a design document on hostile documents and on some of ``database``.

        Raises TrialError, which names the file.
        """
        samples = HOSTILE + list(_samples(self._databases, database))
        folder = f"{database}/{document['_id'].removeprefix('_design/')}"
        for view, functions in document.get("views", {}).items():
            self._run(f"{folder}/views/{view}/map.js", functions["map"], TRY_MAP, samples)
            if functions.get("reduce", BUILT_IN[0]) not in BUILT_IN:
                self._run(f"{folder}/views/{view}/reduce", functions["reduce"], "tried", samples)
        if VALIDATOR in document:
            self._run(f"{folder}/{VALIDATOR}.js", document[VALIDATOR], TRY_VALIDATOR, samples)

    def _run(self, path: str, source: str, run: str, samples: list[Document]) -> None:
        mark = secrets.token_hex(8)
        wrapped = WRAPPER % {"source": source, "run": run, "mark": json.dumps(mark)}
        found = (self._databases.design_documents(self._scratch) or {}).get("trial")
        self._databases.put(self._scratch, {"_id": "_design/trial", VALIDATOR: wrapped}, found)
        for _ in range(TRIES):
            said = self._write({"samples": samples})
            if said == mark:
                return
            # Other shards learn of a new validator a moment later, and until then the one before answers.
            if said is not None and len(said) != len(mark):
                raise TrialError(f"{path}: {said}")
            time.sleep(0.05)
        raise TrialError(f"{path}: the database did not run it")

    def _write(self, document: Document) -> str | None:
        try:
            self._databases.request("POST", self._scratch, body=document)
        except Refused as refusal:
            return refusal.reason if refusal.status == 403 else f"{refusal.error}: {refusal.reason}"
        return None


@contextmanager
def trial(databases: Databases) -> Iterator[Trial]:
    """Have a scratch database for as long as the context lasts."""
    scratch = f"{SCRATCH}{int(time.time())}-{secrets.token_hex(4)}"
    databases.create(scratch)
    try:
        yield Trial(databases, scratch)
    finally:
        databases.request("DELETE", scratch)


def remove_leftovers(databases: Databases, max_age: float = MAX_AGE) -> None:
    """Delete the scratch databases of trials that did not come to their end."""
    beginning = databases.full_name(SCRATCH)
    for name in databases.connection.get("_all_dbs").body:
        made_at = name.removeprefix(beginning).partition("-")[0]
        if name.startswith(beginning) and made_at.isdecimal() and int(made_at) < time.time() - max_age:
            databases.request("DELETE", name.removeprefix(f"{databases.prefix}-"))


def _samples(databases: Databases, database: str) -> Iterator[Document]:
    """Yield some of the documents at both ends of ``database``."""
    left = SAMPLE_BYTES
    for descending in (False, True):
        params = {"include_docs": True, "limit": SAMPLES, "descending": descending}
        for row in databases.request("GET", database, "_all_docs", params=params).body["rows"]:
            left -= len(json.dumps(row["doc"]))
            if left > 0 and not row["id"].startswith("_design/"):
                yield row["doc"]
