"""Clients that note every acknowledged version of their documents, while replication brings conflicts."""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from app.couch.failures import DatabaseError
from app.domain.resources import DOCUMENT
from app.local_couchdb.wire import request
from proofs.campaign import REPEATS, RETRY_SECONDS
from proofs.clients import Client
from proofs.conftest import Installation
from proofs.requests import Requests, is_final
from proofs.service import NO_ANSWER, Reply, Service
from tests.replication import replicate

T = TypeVar("T")

LINES = [f"line {number}\n" for number in range(1, 10)]
MAX_PATCHES = 6
# Every third document is deleted, or has versions that clash.
DOCUMENTS_PER_DELETION, DOCUMENTS_PER_CLASH = 3, 3
# A request is repeated after these answers, so that its write may be confirmed by an equal revision.
DISTURBED = ("dropped", "503", "409")


@dataclass
class Document:
    """A document and its acknowledged versions."""

    public_id: int
    # The values by revision.
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The revisions whose request was answered at once.
    undisturbed: set[str] = field(default_factory=set)
    is_deleted: bool = False
    # Whether the version that replication brings can be merged; None if it brings none.
    is_mergeable: bool | None = None

    @property
    def path(self) -> str:
        """The URL path."""
        return f"/documents/{self.public_id}"

    @property
    def first(self) -> dict[str, Any]:
        """The value of the first version."""
        return next(iter(self.versions.values()))

    @property
    def doc_id(self) -> str:
        """The `_id` in the database."""
        return DOCUMENT.doc_id(self.public_id)


class VersionWriter(Client):
    """Creates documents one after the other, and notes their versions. Each writer has a ``number``."""

    def __init__(self, service: Service, installation: Installation, number: int, seed: int) -> None:
        name = f"{type(self).__name__} {number}"
        super().__init__(name)
        self._number = number
        self._random = random.Random(f"{seed} {name}")
        self._server_url, self._database = installation.url, f"{installation.prefix}-documents"
        self._requests = Requests(service, installation.key, self._random, self.answered)
        self.documents: list[Document] = []
        self.unknown = 0

    def act(self) -> bool:
        """Write one document to its end. Returns True."""
        value = {"title": f"{self.name} {len(self.documents)}", "content": "".join(LINES)}
        created = self._requests.repeated("POST", "/documents", value, expected=(201,))
        if created.status == 201:
            document = Document(created.json["id"])
            self.documents.append(document)
            self.note(document, created, is_undisturbed=False)
            self.edit(document)
        return True

    def edit(self, document: Document) -> None:
        """Carry out all changes of a document."""
        raise NotImplementedError

    def is_turn(self, number: int) -> bool:
        """Return whether the current document is one of each ``number``; each writer begins elsewhere."""
        return (self._number + len(self.documents)) % number == 0

    def patch(self, document: Document, **members: Any) -> None:
        """Change a document, and repeat the request until it is acknowledged."""
        before = Counter(self.answered)
        reply = self._requests.repeated("PATCH", document.path, members, expected=(200,))
        self.note(document, reply, is_undisturbed=not any(self.answered[each] - before[each] for each in DISTURBED))

    def note(self, document: Document, reply: Reply, *, is_undisturbed: bool) -> None:
        """Note an acknowledged version, or count an answer that leaves the outcome of the write unknown."""
        if reply.is_unknown:
            self.unknown += 1
            return
        revision = reply.headers["ETag"].strip('"')
        document.versions[revision] = reply.json
        if is_undisturbed:
            document.undisturbed.add(revision)


class Patcher(VersionWriter):
    """Changes each document a few times, and deletes some."""

    def edit(self, document: Document) -> None:
        """Change a document a few times; delete it now and then."""
        for number in range(self._random.randint(1, MAX_PATCHES)):
            self.patch(document, content=f"{number}: {secrets.token_hex(8)}\n")
        if self.is_turn(DOCUMENTS_PER_DELETION):
            self._delete_document(document)

    def _delete_document(self, document: Document) -> None:
        for _ in range(REPEATS):
            reply = self._requests.once("DELETE", document.path, expected=(204, 404))
            if reply is not None and is_final(reply):
                document.is_deleted = True
                return
            self.stopping.wait(RETRY_SECONDS)
        raise AssertionError(f"{document.path} was not deleted")


class Brancher(VersionWriter):
    """Changes each document once, and lets replication bring another change of the same version."""

    def edit(self, document: Document) -> None:
        """Change a document on both sides: in different lines, or in the same one."""
        base = self._until_done(lambda: self._read(document))
        self.patch(document, content=_with_line(0, "changed here\n"))
        document.is_mergeable = not self.is_turn(DOCUMENTS_PER_CLASH)
        value = {**document.first, "content": _with_line(-1 if document.is_mergeable else 0, "changed elsewhere\n")}
        lineage = _lineage(base.pop("_revisions"))
        generation, _, _ = lineage[0].partition("-")
        revision = f"{int(generation) + 1}-{self._random.getrandbits(128):032x}"
        fields = {name: member for name, member in base.items() if name != "_rev"}
        branch = {**fields, **value, "nonce": secrets.token_hex(16), "updated_by": "elsewhere"}, [revision, *lineage]
        self._until_done(lambda: replicate(self._server_url, self._database, branch))
        document.versions[revision] = value

    def _read(self, document: Document) -> dict[str, Any]:
        """Return a document as CouchDB has it, with its lineage."""
        status, stored = request(self._server_url, "GET", f"/{self._database}/{document.doc_id}?revs=true")
        if status != 200:
            raise OSError(stored)
        result: dict[str, Any] = stored
        return result

    def _until_done(self, step: Callable[[], T]) -> T:
        """Repeat a step while the database is down."""
        for _ in range(REPEATS):
            try:
                return step()
            except (DatabaseError, ValueError, *NO_ANSWER):
                self.answered["database down"] += 1
                self.stopping.wait(RETRY_SECONDS)
        raise AssertionError(f"the database did not answer {REPEATS} times")


def _with_line(place: int, line: str) -> str:
    lines = list(LINES)
    lines[place] = line
    return "".join(lines)


def _lineage(revisions: dict[str, Any]) -> list[str]:
    return [f"{revisions['start'] - age}-{digest}" for age, digest in enumerate(revisions["ids"])]
