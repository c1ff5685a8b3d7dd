"""Answers repeated reads from memory, exactly as Flask would answer them, and leaves every other request to Flask.

A hit needs a valid key that was checked within the last seconds, and either an item whose newest revision is known, or
a page that Flask answered before and that nothing has changed since. The cache refuses nothing: whether a request is
wrong, forbidden or over its rate limit is for Flask to say.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from app.cache.items import BodyCache
from app.cache.single_flight import SingleFlight
from app.domain.access import Access
from app.domain.keys.authenticator import Authenticator
from app.http import conditional, media
from app.http.answer import Answer
from app.http.hosts import HOST
from app.http.proxies import trusting
from app.http.rate_limits import rate_limit_headers
from app.http.request_scope import choose_request_id, log_request
from app.limits.limiter import Limiter
from app.limits.policies import MEMORY, READ
from app.metrics import Tally
from app.request_context import RequestContext
from app.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Pages get this part of the memory for bodies.
PAGES_SHARE = 8
# Bytes of an entry beside its headers and body, with its key, measured on CPython 3.11.
ENTRY_BYTES = 2_000

ACCEPTED = (None, "*/*", media.JSON)
ITEM = re.compile(r"/(documents|projects)/([1-9][0-9]{0,15})", re.ASCII)
ITEM_ROUTES = {"documents": "/documents/<id:document_id>", "projects": "/projects/<id:project_id>"}
BODY_HEADERS = ("Content-Type", "Content-Length")

Headers = list[tuple[str, str]]
# Everything that a page depends on beside the databases: principal, scheme, host, prefix, path and query.
PageKey = tuple[str, ...]


class CachedResponse(NamedTuple):
    """A whole response."""

    status: int
    headers: Headers
    body: bytes


class Entry(NamedTuple):
    """A response with status 200 without the headers that differ from request to request.

    ``tokens`` holds a validity token for each database that it was read from.
    """

    route: str
    scope: str
    tag: str
    headers: Headers
    body: bytes
    tokens: Mapping[str, int | None] = {}


class ResponseCache:
    """Thread-safe. ``body_caches`` holds items by the name of their database; ``reads`` counts hits and misses."""

    def __init__(
        self,
        settings: Settings,
        body_caches: Mapping[str, BodyCache],
        authenticator: Authenticator,
        limiter: Limiter | None,
        reads: Tally,
    ) -> None:
        self._body_caches, self._authenticator, self._limiter, self._reads = body_caches, authenticator, limiter, reads
        self._lock, self._flights = Lock(), SingleFlight[Answer]()
        self._pages: LRUCache[PageKey, Entry] = LRUCache(settings.cache_bytes // PAGES_SHARE, _size)
        self._find_behind_proxies = trusting(settings.trusted_proxies, lambda environ, _: self._find(environ))
        # Without a limiter, or with counters in memory, a lookup waits for nothing outside of this host.
        self.is_immediate = limiter is None or settings.rate_limit_storage == MEMORY

    def lookup(self, environ: WSGIEnvironment) -> CachedResponse | None:
        """Return the response to a request, None if Flask must answer it.

        Needs only REQUEST_METHOD, SCRIPT_NAME, PATH_INFO, QUERY_STRING, wsgi.url_scheme and the headers.
        """
        response: CachedResponse | None = self._find_behind_proxies(environ, None)
        return response

    def read_through(
        self,
        environ: WSGIEnvironment,
        access: Access,
        route: str,
        scope: str,
        databases: Collection[str],
        read: Callable[[], Answer],
    ) -> Answer:
        """Count a miss and return the answer of ``read``; store it if it is a page that may be cached.

        ``route`` is for the access log. ``databases`` are those that the answer depends on. Simultaneous requests share
        one answer.

        A limited key's page is never stored: the time that it takes would reveal changes outside of the key's limits.
        """
        self._reads.count("miss")
        if access.reach is not None:
            return read()
        key = _page_key(environ, access)

        def fill() -> Answer:
            tokens = {name: self._body_caches[name].token() for name in databases}
            answer = read()
            if answer.is_cacheable and None not in tokens.values():
                self._store(key, answer, Entry(route, scope, answer.tag or "", [], b"", tokens))
            return answer

        conditions = environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_CACHE_CONTROL")
        return self._flights.run((key, *conditions), fill)

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

    def _find(self, environ: WSGIEnvironment) -> CachedResponse | None:
        started = time.monotonic()
        if (
            environ["REQUEST_METHOD"] != "GET"
            or "HTTP_CACHE_CONTROL" in environ
            or environ.get("HTTP_ACCEPT") not in ACCEPTED
            or "HTTP_HOST" not in environ
        ):
            return None
        access = self._authenticator.recall(environ.get("HTTP_X_API_KEY"))
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
        body = media.line(item.body)
        headers = {"Content-Type": media.JSON, "Content-Length": str(len(body)), **conditional.headers(item.revision)}
        return Entry(ITEM_ROUTES[name], f"{name}:read", item.revision, list(headers.items()), body)

    def _page(self, environ: WSGIEnvironment, access: Access) -> Entry | None:
        entry = None if access.reach is not None else self._page_entry(_page_key(environ, access))
        is_valid = entry and all(self._body_caches[name].is_valid(token) for name, token in entry.tokens.items())
        return entry if is_valid else None

    def _respond(self, environ: WSGIEnvironment, access: Access, entry: Entry, started: float) -> CachedResponse | None:
        """Return an entry as a response to this request, None if the principal is over its rate limit."""
        known_tags = environ.get("HTTP_IF_NONE_MATCH")
        is_spared = known_tags is not None and conditional.names(known_tags, entry.tag)
        counted: dict[str, str] = {}
        if self._limiter is not None:
            # A 304 is free.
            verdict = (self._limiter.look if is_spared else self._limiter.acquire)(READ, access.principal)
            if verdict is not None and not verdict.granted:
                return None
            counted = rate_limit_headers(verdict) if verdict else {}
        self._reads.count("hit")
        request_id, status = choose_request_id(environ.get("HTTP_X_REQUEST_ID")), 304 if is_spared else 200
        context = RequestContext(request_id, started, entry.route, access.principal, "hit")
        log_request(context, "GET", status, time.monotonic() - started)
        kept = [header for header in entry.headers if header[0] not in BODY_HEADERS] if is_spared else entry.headers
        headers = [*kept, *counted.items(), ("X-Request-ID", request_id)]
        return CachedResponse(status, headers, b"" if is_spared else entry.body)


def _page_key(environ: WSGIEnvironment, access: Access) -> PageKey:
    place = (environ["wsgi.url_scheme"], environ.get("HTTP_HOST", ""), environ["SCRIPT_NAME"], environ["PATH_INFO"])
    return access.principal, *place, environ["QUERY_STRING"]


def _size(entry: Entry) -> int:
    """Return the bytes that an entry takes, about."""
    return ENTRY_BYTES + sum(len(name) + len(value) for name, value in entry.headers) + len(entry.body)
