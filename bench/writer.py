"""Write at a steady pace in the background, through the service or to CouchDB."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT
from bench.wrk import Target, WrongAnswer

PER_SECOND = 50
# Connections that share the pace, since one alone could not keep it while the server is busy.
CONNECTIONS = 25


@dataclass(frozen=True)
class Edits:
    """Changes of the documents ``ids``: PATCHes, or PUTs of ``stored`` documents if given."""

    target: Target
    ids: Sequence[int]
    stored: Mapping[int, dict[str, Any]] | None = field(default=None, repr=False)
    database: str = ""

    def send(self, connection: http.client.HTTPConnection, public_id: int, title: str) -> int:
        """Give a document another title; return the status of the answer."""
        if self.stored is None:
            method, path, value = "PATCH", f"/documents/{public_id}", {"title": title}
        else:
            value = {**self.stored[public_id], "title": title}
            method, path = "PUT", f"/{self.database}/{DOCUMENT.doc_id(public_id)}"
        headers = {**self.target.headers, "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(value), headers)
        response = connection.getresponse()
        body = json.loads(response.read())
        if self.stored is not None and response.status == 201:
            self.stored[public_id]["_rev"] = body["rev"]
        return response.status


def stored(connection: Connection, database: str, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the documents ``ids`` as CouchDB stores them."""
    keys = [DOCUMENT.doc_id(public_id) for public_id in ids]
    answer = connection.post(database, "_all_docs", params={"include_docs": True}, body={"keys": keys}, read=True)
    return {row["doc"]["id"]: row["doc"] for row in answer.body["rows"]}


def chosen(documents: int, seconds: float) -> list[int]:
    """Return random documents, enough for ``seconds`` without repetition if the database has that many."""
    ids = range(1, documents + 1)
    return random.Random(documents).sample(ids, min(documents, round(2 * PER_SECOND * (seconds + 2))))


class Writer(AbstractContextManager["Writer"]):
    """Write while the context lasts. Raises WrongAnswer at the end if a write failed."""

    def __init__(self, edits: Edits) -> None:
        self._edits, self._ended, self._lock = edits, threading.Event(), threading.Lock()
        self._written, self._failures = 0, list[str]()
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(CONNECTIONS)]
        self._started = time.perf_counter()
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        """Write every n-th document, so that no two connections write the same one."""
        own = self._edits.ids[number::CONNECTIONS]
        connection = http.client.HTTPConnection(self._edits.target.address, timeout=30)
        try:
            for turn in count():
                due = self._started + (turn + number / CONNECTIONS) * CONNECTIONS / PER_SECOND
                if self._ended.wait(max(due - time.perf_counter(), 0)):
                    return
                status = self._edits.send(connection, own[turn % len(own)], f"Edited {turn}")
                if status >= 300:
                    raise WrongAnswer(f"a write was answered with {status}")
                with self._lock:
                    self._written += 1
        except (WrongAnswer, http.client.HTTPException, OSError, ValueError) as failure:
            self._failures.append(repr(failure))
        finally:
            connection.close()

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if kind is None and self._failures:
            raise WrongAnswer(f"writes failed: {self._failures}")

    def pace(self) -> float:
        """Return the number of writes as a share of the intended number so far."""
        return self._written / (PER_SECOND * (time.perf_counter() - self._started))
