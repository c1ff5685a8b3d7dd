"""Answers repeated reads from memory, exactly as Flask would answer them, and leaves every other request to Flask.

A hit needs a valid key that was checked within the last seconds, and either an item whose newest revision is known, or
a page that Flask answered before and that nothing has changed since. The cache refuses nothing: Flask decides whether a
request is wrong, forbidden or over its rate limit.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from app.cache.items import BodyCache
from app.cache.single_flight import Flight, SingleFlight
from app.domain.access import Access
from app.domain.keys.authenticator import Authenticator
from app.errors import ValidationFailed
from app.http.answers import JSON, Answer, item_headers, line, names_tag
from app.http.credentials import key_text
from app.http.cross_origin import CrossOrigin
from app.http.proxies import behind_proxies
from app.http.request_scope import choose_request_id
from app.http.responses import Response
from app.limits.limiter import Limiter
from app.limits.policies import MEMORY, READ
from app.request_context import Report, RequestRecord, unreported
from app.settings import Settings
from app.urls import HOST

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Pages get this part of the memory for bodies.
PAGES_SHARE = 8
# Bytes of an entry beside its headers, its body and the texts of its key, measured on CPython 3.11.
ENTRY_BYTES = 2_000

ACCEPTED = (None, "*/*", JSON)
ITEM = re.compile(r"/(documents|projects)/([1-9][0-9]{0,15})", re.ASCII)
ITEM_ROUTES = {"documents": "/documents/<id:document_id>", "projects": "/projects/<id:project_id>"}
BODY_HEADERS = ("Content-Type", "Content-Length")

Headers = list[tuple[str, str]]
# Everything that a page depends on beside the databases: principal, scheme, host, prefix, path and query.
PageKey = tuple[str, ...]


class Entry(NamedTuple):
    """A response with status 200 without the headers that differ from request to request.

    ``tokens`` holds a validity token for each database that it was read from; ``key_bytes`` is the length of its key.
    """

    route: str
    scope: str
    tag: str
    headers: Headers
    body: bytes
    tokens: Mapping[str, int | None] = {}
    key_bytes: int = 0


class ResponseCache:
    """Thread-safe. ``body_caches`` holds items by the name of their database.

    ``count_miss`` is called for each read that goes on to Flask, ``report`` for each request that is answered.
    """

    def __init__(
        self,
        settings: Settings,
        body_caches: Mapping[str, BodyCache],
        authenticator: Authenticator,
        limiter: Limiter | None,
        count_miss: Callable[[], object],
        report: Report = unreported,
    ) -> None:
        self._body_caches, self._authenticator, self._limiter = body_caches, authenticator, limiter
        self._count_miss, self._report = count_miss, report
        self._lock, self._flights = Lock(), SingleFlight()
        self._cross_origin = CrossOrigin(settings.cors_origins)
        self._pages: LRUCache[PageKey, Entry] = LRUCache(settings.cache_bytes // PAGES_SHARE, _size)
        self._find_behind_proxies = behind_proxies(
            settings.trusted_proxies, settings.public_url, lambda environ, _: self._find(environ)
        )
        # Without a limiter, or with counters in memory, a lookup waits for nothing outside of this host.
        self.is_immediate = limiter is None or settings.rate_limit_storage == MEMORY

    @property
    def bytes(self) -> int:
        """The memory that all pages take."""
        return int(self._pages.currsize)

    def lookup(self, environ: WSGIEnvironment) -> Response | None:
        """Return the response to a request, None if Flask must answer it.

        Needs only REQUEST_METHOD, SCRIPT_NAME, PATH_INFO, QUERY_STRING, wsgi.url_scheme and the headers.
        """
        response: Response | None = self._find_behind_proxies(environ, None)
        return response

    @contextmanager
    def reading(
        self, environ: WSGIEnvironment, access: Access, route: str, scope: str, databases: Collection[str]
    ) -> Iterator[Flight]:
        """Count a miss and yield a flight, as ``SingleFlight.join`` does; store its answer if it may be cached.

        ``route`` is for the request's record. ``databases`` are those that the answer depends on.

        A limited key's page is never stored: the time that it takes would reveal changes outside of the key's limits.
        Neither is a response to HTTP/1.0 without Host: its links name the address of the server.
        """
        self._count_miss()
        if access.reach is not None or not environ.get("HTTP_HOST"):
            yield Flight()
            return
        key = _page_key(environ, access)
        with self._flights.join((key, environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_CACHE_CONTROL"))) as flight:
            is_shared = flight.result is not None
            tokens = {} if is_shared else {name: self._body_caches[name].token() for name in databases}
            yield flight
            answer = flight.result
            if answer and answer.is_cacheable and not is_shared and None not in tokens.values():
                self._store(key, answer, Entry(route, scope, answer.tag or "", [], b"", tokens, sum(map(len, key))))

    def _store(self, key: PageKey, answer: Answer, entry: Entry) -> None:
        """Store a 200. A 304 shows that a stored page with its tag is still right."""
        known = self._page_entry(key)
        if answer.status == HTTPStatus.OK:
            entry = entry._replace(headers=list(answer.headers.items()), body=answer.body)
        elif known and known.tag == entry.tag:
            entry = known._replace(tokens=entry.tokens)
        else:
            return
        with self._lock, suppress(ValueError):  # It is larger than the whole cache.
            self._pages[key] = entry

    def _page_entry(self, key: PageKey) -> Entry | None:
        with self._lock:
            return self._pages.get(key)

    def _find(self, environ: WSGIEnvironment) -> Response | None:
        started = time.monotonic()
        if (
            environ["REQUEST_METHOD"] != "GET"
            or "HTTP_CACHE_CONTROL" in environ
            or environ.get("HTTP_ACCEPT") not in ACCEPTED
            or not environ.get("HTTP_HOST")
        ):
            return None
        try:
            access = self._authenticator.recall(key_text(environ))
        except ValidationFailed:
            return None
        if access is None:
            return None
        matched = ITEM.fullmatch(environ["PATH_INFO"])
        entry = self._item(environ, access, *matched.groups()) if matched else self._page(environ, access)
        return self._respond(environ, access, entry, started) if entry and entry.scope in access.scopes else None

    def _item(self, environ: WSGIEnvironment, access: Access, name: str, digits: str) -> Entry | None:
        item = self._body_caches[name].get(int(digits))
        if item is None or environ["QUERY_STRING"] or not HOST.fullmatch(environ["HTTP_HOST"]):
            return None
        public_id, project_id = item.public_id, item.project_id
        if not (access.admits(public_id, project_id) if name == "documents" else access.admits_project(public_id)):
            return None
        body = line(item.body)
        headers = {"Content-Type": JSON, "Content-Length": str(len(body)), **item_headers(item)}
        return Entry(ITEM_ROUTES[name], f"{name}:read", item.revision, list(headers.items()), body)

    def _page(self, environ: WSGIEnvironment, access: Access) -> Entry | None:
        entry = None if access.reach is not None else self._page_entry(_page_key(environ, access))
        is_valid = entry and all(self._body_caches[name].is_valid(token) for name, token in entry.tokens.items())
        return entry if is_valid else None

    def _respond(self, environ: WSGIEnvironment, access: Access, entry: Entry, started: float) -> Response | None:
        """Return an entry as a response to this request, None if the principal is over its rate limit."""
        is_spared = names_tag(environ.get("HTTP_IF_NONE_MATCH"), entry.tag)
        counted: dict[str, str] = {}
        if self._limiter is not None:
            # A 304 is free.
            verdict = (self._limiter.look if is_spared else self._limiter.acquire)(READ, access.principal)
            if verdict is not None and not verdict.granted:
                return None
            counted = verdict.headers if verdict else {}
        fields = [header for header in entry.headers if header[0] not in BODY_HEADERS] if is_spared else entry.headers
        body, request_id = b"" if is_spared else entry.body, choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        headers = [*fields, *counted.items(), ("X-Request-ID", request_id)]
        headers = self._cross_origin.with_headers(headers, environ.get("HTTP_ORIGIN"))
        response = Response(304 if is_spared else 200, headers, body)
        self._report(_record(environ, access, entry.route, response, request_id, time.monotonic() - started))
        return response


def _record(
    environ: WSGIEnvironment, access: Access, route: str, response: Response, request_id: str, seconds: float
) -> RequestRecord:
    return RequestRecord(
        "GET",
        route,
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        response.status,
        seconds,
        len(response.body),
        request_id,
        environ.get("REMOTE_ADDR", ""),
        access.principal,
        access.key_id,
        is_cached=True,
    )


def _page_key(environ: WSGIEnvironment, access: Access) -> PageKey:
    place = (environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"], environ["PATH_INFO"])
    return access.principal, *place, environ["QUERY_STRING"]


def _size(entry: Entry) -> int:
    """Return the bytes that an entry takes, about."""
    headers = sum(len(name) + len(value) for name, value in entry.headers)
    return ENTRY_BYTES + entry.key_bytes + headers + len(entry.body)
