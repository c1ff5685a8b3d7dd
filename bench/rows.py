"""The rows of `make bench` with their goals: work for the service, and the same work for CouchDB alone."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal
from urllib.parse import quote, urlencode

from app.domain.resources import DOCUMENT
from bench.environment import Installation
from bench.wrk import NUMBERED, Request, Target, send

PAGE = 50
BATCH = 1000
DOCUMENT_BYTES = 300
TIME = "2026-01-31T12:00:00.000000Z"
JSON = {"Content-Type": "application/json"}
FIRST_PAGE = f"/documents?limit={PAGE}"
# The document and the page that are requested repeatedly.
ONE = 1


@dataclass(frozen=True)
class Scene:
    """A service, the CouchDB below it, and the addresses of their documents and pages.

    Two more databases take writes: ``validated`` has the service's validators and views, ``bare`` has none.
    """

    installation: Installation
    service: str
    couchdb: str
    credentials: Mapping[str, str] = field(repr=False)
    validated: str = ""
    bare: str = ""
    # For each page: the service's own link to it, and the last id before it.
    links: Sequence[tuple[str, int]] = field(default=(), repr=False)

    def ours(self, *requests: Request, expects: int = 200, **headers: str) -> Target:
        """Return requests to the service."""
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return Target(self.service, {"X-API-Key": self.installation.key, **names}, requests, expects)

    def theirs(self, *requests: Request, expects: int = 200, **headers: str) -> Target:
        """Return requests to CouchDB."""
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return Target(self.couchdb, {**self.credentials, **names}, requests, expects)

    def tagged(self, path: str) -> Request:
        """Return a conditional request for a path that does not change from now on."""
        _, headers, _ = send(self.ours(), Request(path))
        return Request(path, tag=headers["ETag"])

    def stored(self, public_id: int) -> Request:
        """Return the request to CouchDB for a document."""
        return Request(f"/{self.installation.database}/{DOCUMENT.doc_id(public_id)}")

    def view(self, after: int = 0) -> Request:
        """Return the request to CouchDB for a page's rows and bodies, and one more."""
        startkey = quote(json.dumps(DOCUMENT.doc_id(after + 1)))
        path = f"/{self.installation.database}/_design/listing/_view/by_id"
        return Request(f"{path}?include_docs=true&limit={PAGE + 1}&startkey={startkey}")

    @cached_property
    def drawn(self) -> list[int]:
        """Random ids, in the number of the documents."""
        ids = range(1, self.installation.documents + 1)
        return random.Random(1).choices(ids, k=len(ids))

    @cached_property
    def shuffled(self) -> list[int]:
        """Every id once."""
        return random.Random(2).sample(range(1, self.installation.documents + 1), self.installation.documents)

    @cached_property
    def places(self) -> list[tuple[str, int]]:
        """Random links to pages, in the number of the pages."""
        return random.Random(3).choices(self.links, k=len(self.links))


Sided = Callable[[Scene], Target]


@dataclass(frozen=True)
class Row:
    """Work, the goal of the service as a multiple of CouchDB alone, and the method of measurement.

    ``writes`` go on in the background, to documents anywhere or on the page itself. A ``fresh`` row restarts the
    service for each round. ``longer`` multiplies the length of a round, for slow requests.
    """

    work: str
    goal: float | None
    ours: Sided
    theirs: Sided
    connections: int = 8
    writes: Literal["anywhere", "on the page"] | None = None
    fresh: bool = False
    longer: int = 1


def item(public_id: int) -> Request:
    """Return the request for a document."""
    return Request(f"/documents/{public_id}")


def post(path: str, body: object) -> Request:
    """Return a POST of JSON."""
    return Request(path, "POST", body=json.dumps(body))


def page(cursor: str, limit: int = PAGE) -> str:
    """Return the path of a page that begins at ``cursor``."""
    return "/documents?" + urlencode({"limit": limit, "cursor": cursor})


def value() -> dict[str, str]:
    """Return a client's document, DOCUMENT_BYTES of JSON."""
    empty = json.dumps({"title": "Measured", "content": ""})
    return {"title": "Measured", "content": "x" * (DOCUMENT_BYTES - len(empty))}


def stored() -> dict[str, Any]:
    """Return the same document as the service stores it; wrk numbers each."""
    times = {"created_at": TIME, "updated_at": TIME, "nonce": secrets.token_hex(16)}
    return {**NUMBERED, "type": DOCUMENT.name, **value(), **times}


def one(database: str, document: object) -> Request:
    """Return the request to CouchDB that stores a document."""
    return post(f"/{database}", document)


def many(database: str, document: object) -> Request:
    """Return the request to CouchDB that stores a document BATCH times."""
    return post(f"/{database}/_bulk_docs", {"docs": [document] * BATCH})


def against_both(
    work: str, goal: float, ours: Request, theirs: Callable[[str, object], Request], expects: int = 201, **options: Any
) -> tuple[Row, Row]:
    """Return two rows of writes: against a database with the service's validators and views, and against a bare one."""

    def service(scene: Scene) -> Target:
        return scene.ours(ours, expects=expects, **JSON)

    def validated(scene: Scene) -> Target:
        return scene.theirs(theirs(scene.validated, stored()), expects=201, **JSON)

    def bare(scene: Scene) -> Target:
        return scene.theirs(theirs(scene.bare, value()), expects=201, **JSON)

    return (
        Row(work, goal, service, validated, **options),
        Row(f"{work}, beside a bare database", None, service, bare, **options),
    )


OPERATIONS = {"operations": [{"op": "create", "value": value()}] * BATCH}

ROWS = (
    Row("GET one, warm", 12, lambda s: s.ours(item(ONE)), lambda s: s.theirs(s.stored(ONE))),
    Row(
        "GET one, 304, against 200",
        12,
        lambda s: s.ours(s.tagged(f"/documents/{ONE}"), expects=304),
        lambda s: s.theirs(s.stored(ONE)),
    ),
    Row(
        "GET one of all, warm",
        3,
        lambda s: s.ours(*map(item, s.drawn)),
        lambda s: s.theirs(*map(s.stored, s.drawn)),
    ),
    Row(
        "GET one of all, never asked for before",
        0.6,
        lambda s: s.ours(*map(item, s.shuffled)),
        lambda s: s.theirs(*map(s.stored, s.shuffled)),
        fresh=True,
    ),
    Row(
        "GET one, no-cache",
        0.6,
        lambda s: s.ours(item(ONE), Cache_Control="no-cache"),
        lambda s: s.theirs(s.stored(ONE)),
    ),
    Row("page of 50, warm", 100, lambda s: s.ours(Request(FIRST_PAGE)), lambda s: s.theirs(s.view())),
    Row(
        "page of 50, 304, against 200",
        100,
        lambda s: s.ours(s.tagged(FIRST_PAGE), expects=304),
        lambda s: s.theirs(s.view()),
    ),
    Row(
        "pages of 50 anywhere",
        4,
        lambda s: s.ours(*(Request(path) for path, _ in s.places)),
        lambda s: s.theirs(*(s.view(after) for _, after in s.places)),
    ),
    Row(
        "page of 50, 50 writes/s anywhere",
        4,
        lambda s: s.ours(Request(FIRST_PAGE)),
        lambda s: s.theirs(s.view()),
        writes="anywhere",
    ),
    Row(
        "page of 50, 50 writes/s on that page",
        None,
        lambda s: s.ours(Request(FIRST_PAGE)),
        lambda s: s.theirs(s.view()),
        writes="on the page",
    ),
    *against_both("POST, 32 connections", 1.2, post("/documents", value()), one, connections=32),
    *against_both("POST, 1 connection", 0.8, post("/documents", value()), one, connections=1),
    *against_both(
        "POST of a batch of 1,000", 0.95, post("/documents/batch", OPERATIONS), many, 200, connections=1, longer=3
    ),
)
