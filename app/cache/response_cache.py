"""The WSGI layer that answers a hot read itself, and passes everything else on to the long path.

It takes only what it can answer as the long path would: a good key met lately, whose reach and scope allow it; a GET of
one item, or of a page that was answered before, whose marks still hold. It refuses nothing: whoever is to be refused is
refused by the long path.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from app.cache.pages import Answered, Asked, Headers, Pages
from app.cache.routes import CacheableRoute
from app.cache.together import Together
from app.domain.access import Access
from app.domain.rendered import RenderedItem
from app.errors import ServiceError
from app.http import conditional, media, rate_limits
from app.http.paging import PAGE_OF
from app.http.proxies import trusting
from app.http.request_scope import choose_request_id, log_request
from app.limits.policies import MEMORY, READ
from app.request_context import STARTED, request_context
from app.wiring import Services

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ACCEPTED = (None, "*/*", media.JSON)
# With one of these what is known is not good enough.
UNDERSTOOD = (None, "no-cache", "max-age=0")
# What each answer has of its own, and what is said of a body.
OWN = frozenset({"X-Request-ID", *rate_limits.HEADERS})
OF_BODY = frozenset({"Content-Type", "Content-Length"})
MOST_HOSTS = 100
# Pages get as much memory as projects do (app.settings).
SHARE = 8


class CachedResponse(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class ResponseCache:
    """In front of ``long_path``, from which it learns which pages there are and by which names it is called."""

    def __init__(self, long_path: WSGIApplication, services: Services) -> None:
        self.long_path, self._services = long_path, services
        self._lookup = trusting(services.settings.trusted_proxies, lambda environ, _: self._find(environ))
        self._pages = Pages(services.body_caches, services.settings.cache_bytes // SHARE)
        self._together = Together[Answered]()
        self._hosts: set[str] = set()

    @property
    def is_immediate(self) -> bool:
        """Whether an answer never waits for anything outside of this host."""
        settings = self._services.settings
        return not settings.rate_limit or settings.rate_limit_storage == MEMORY

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        quick = self.lookup(environ)
        if quick is None:
            return self.learn(environ, start_response)
        start_response(f"{quick.status} {HTTPStatus(quick.status).phrase}", quick.headers)
        return [quick.body]

    def lookup(self, environ: WSGIEnvironment) -> CachedResponse | None:
        """Return the answer to a hot read, None where another path is to be taken. It never waits."""
        found: CachedResponse | None = self._lookup(environ, None)
        return found

    def _find(self, environ: WSGIEnvironment) -> CachedResponse | None:
        started = time.monotonic()
        admitted = None if "HTTP_CACHE_CONTROL" in environ else self._admit(environ)
        if admitted is None:
            return None
        wanted, access = admitted
        found = self._page(environ, access) if wanted.public_id is None else self._item(environ, wanted, access)
        return None if found is None else self._finish(environ, found, access, wanted.route, started, "hit")

    def learn(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer what is not known yet, and remember it."""
        admitted, quick = self._admit(environ), None
        if admitted is not None and environ.get("HTTP_CACHE_CONTROL") in UNDERSTOOD:
            quick = self._ask(environ, *admitted)
        if quick is None:
            return self._take_long_path(environ, start_response)[0]
        start_response(f"{quick.status} {HTTPStatus(quick.status).phrase}", quick.headers)
        return [quick.body]

    def _admit(self, environ: WSGIEnvironment) -> tuple[CacheableRoute, Access] | None:
        """Return what a request is for and what its key allows, if the framework has nothing to object."""
        if (
            environ["REQUEST_METHOD"] != "GET"
            or environ.get("HTTP_ACCEPT") not in ACCEPTED
            or environ.get("HTTP_HOST") not in self._hosts
        ):
            return None
        wanted = CacheableRoute.of(environ["PATH_INFO"])
        access = self._services.authenticator.recall(environ.get("HTTP_X_API_KEY"))
        return (wanted, access) if wanted and access and wanted.scope in access.scopes else None

    def _ask(self, environ: WSGIEnvironment, wanted: CacheableRoute, access: Access) -> CachedResponse | None:
        """Return an item that the database is asked for, or a page that is shared by those who want it now."""
        started = environ.get(STARTED) or time.monotonic()
        left = started + self._services.settings.deadline - time.monotonic()
        environ["HTTP_X_REQUEST_ID"] = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        if self._is_over(access):
            return None
        with request_context(request_id=environ["HTTP_X_REQUEST_ID"], seconds=left):
            if wanted.public_id is None:
                return self._share(environ, wanted, access, started) if access.reach is None else None
            found = None if environ["QUERY_STRING"] else self._read(environ, wanted.many, wanted.public_id, access)
        return None if found is None else self._finish(environ, found, access, wanted.route, started)

    def _is_over(self, access: Access) -> bool:
        """Tell whether a principal has asked too often, before anything is read on its behalf.

        What is counted far away is asked for once in a request, which the long path does.
        """
        limiter = self._services.limiter
        if limiter is None or not self.is_immediate:
            return limiter is not None
        verdict = limiter.look(READ, access.principal)
        return verdict is not None and not verdict.granted

    def _read(self, environ: WSGIEnvironment, many: str, public_id: int, access: Access) -> Answered | None:
        """Return an item from the database. Whatever is wrong with it is told on the long path."""
        shelf = self._services.documents if many == "documents" else self._services.projects
        try:
            return _whole(shelf.read(access, public_id, bypass_cache="HTTP_CACHE_CONTROL" in environ))
        except ServiceError:
            return None

    def _share(
        self, environ: WSGIEnvironment, wanted: CacheableRoute, access: Access, started: float
    ) -> CachedResponse | None:
        """Return a page, for which one of those who want it at the same time takes the long path."""
        own: list[CachedResponse] = []

        def lead() -> Answered | None:
            told: list[tuple[str, Headers]] = []
            parts, answered = self._take_long_path(environ, lambda *said, **_: told.append(said))  # type: ignore
            own.append(CachedResponse(int(told[-1][0][:3]), told[-1][1], b"".join(parts)))
            return answered

        found = self._together.ask(_asked(environ, access), lead)
        if own or found is None:
            return own[0] if own else None
        return self._finish(environ, found, access, wanted.route, started, "shared")

    def _take_long_path(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> tuple[Iterable[bytes], Answered | None]:
        """Return what is answered there, and what can be answered again if it is a page."""
        if environ["REQUEST_METHOD"] != "GET":
            return self.long_path(environ, start_response), None
        wanted, told = CacheableRoute.of(environ["PATH_INFO"]), list[tuple[str, Headers]]()
        marks = self._pages.marks() if wanted and wanted.public_id is None else {}

        def start(status: str, headers: Headers, *exc_info: object) -> Callable[[bytes], object]:
            told[:] = [(status, headers)]
            return start_response(status, headers, *exc_info)  # type: ignore[arg-type]

        answer = self.long_path(environ, start)
        (status, headers), page = told[0], environ.get(PAGE_OF)
        self._meet(environ, status)
        # The router takes paths with doubled slashes, too, for which no marks were taken.
        if page is None or not marks or page.access.reach is not None or not status.startswith(("200 ", "304 ")):
            return answer, None
        asked, made_of = _asked(environ, page.access), {name: marks[name] for name in page.databases}
        tag = dict(headers)["ETag"].strip('"')
        if status.startswith("304 "):
            return answer, self._pages.renew(asked, tag, made_of)
        body, kept = b"".join(answer), [(name, value) for name, value in headers if name not in OWN]
        return [body], self._pages.keep(asked, Answered(tag, kept, body, made_of))

    def _meet(self, environ: WSGIEnvironment, status: str) -> None:
        """Remember by which name a client with a key has reached the service, which took it for one of its own."""
        host: str = environ.get("HTTP_HOST", "")
        is_new = status.startswith("200 ") and host and host not in self._hosts
        if is_new and self._services.authenticator.recall(environ.get("HTTP_X_API_KEY")):
            if len(self._hosts) >= MOST_HOSTS:
                self._hosts.clear()
            self._hosts.add(host)

    def _item(self, environ: WSGIEnvironment, wanted: CacheableRoute, access: Access) -> Answered | None:
        """Return what everyone gets who may have the item, if it is known as it is now."""
        if wanted.public_id is None or environ["QUERY_STRING"]:
            return None
        item = self._services.body_caches[wanted.many].get(wanted.public_id)
        if item is None or not self._admits(access, wanted, item):
            return None
        return _whole(item)

    @staticmethod
    def _admits(access: Access, wanted: CacheableRoute, item: RenderedItem) -> bool:
        if wanted.many == "projects":
            return access.admits_project(item.public_id)
        return access.admits(item.public_id, item.project_id)

    def _page(self, environ: WSGIEnvironment, access: Access) -> Answered | None:
        """Return the page that was answered before. A limited key's page would tell by its time what is beyond it."""
        return self._pages.get(_asked(environ, access)) if access.reach is None else None

    def _finish(
        self, environ: WSGIEnvironment, found: Answered, access: Access, route: str, started: float, cache: str = "miss"
    ) -> CachedResponse | None:
        """Return the answer with what is this request's own, None if its principal has asked too often."""
        limiter, verdict = self._services.limiter, None
        has = environ.get("HTTP_IF_NONE_MATCH")
        is_known = has is not None and conditional.names(has, found.tag)
        if limiter is not None:
            verdict = (limiter.look if is_known else limiter.acquire)(READ, access.principal)
            if verdict is not None and not verdict.granted:
                return None
        self._services.reads.count(cache)
        request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        own = {**(rate_limits.described(verdict) if verdict else {}), "X-Request-ID": request_id}
        status, kept = 200, found.headers
        if is_known:
            status, kept = 304, [header for header in kept if header[0] not in OF_BODY]
        facts = {"method": "GET", "request_id": request_id, "status": status, "route": route, "cache": cache}
        log_request({**facts, "principal": access.principal}, started, time.monotonic())
        return CachedResponse(status, [*kept, *own.items()], b"" if is_known else found.body)


def _whole(item: RenderedItem) -> Answered:
    body = media.line(item.body)
    headers = {"Content-Type": media.JSON, "Content-Length": str(len(body)), **conditional.headers(item.revision)}
    return Answered(item.revision, list(headers.items()), body, {})


def _asked(environ: WSGIEnvironment, access: Access) -> Asked:
    """Return what a page's headers and rows depend on: cursors are a principal's own, and `x-next` is a whole URL."""
    place = (environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"], environ["PATH_INFO"])
    return access.principal, *place, environ["QUERY_STRING"]
