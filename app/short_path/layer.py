"""The WSGI layer that answers a hot read itself, and passes everything else on to the long path.

It takes only what it can answer as the long path would: a good key met lately, whose reach and scope allow it; a GET of
one item, or of a page that was answered before, whose marks still hold. It refuses nothing: whoever is to be refused is
refused by the long path.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from app.domain.access import Access
from app.domain.current import Shown
from app.domain.services import Services
from app.http import conditional, media, rate_limits
from app.http.paging import PAGE_OF
from app.http.request_scope import choose_request_id, log_request
from app.limits.policies import MEMORY, READ
from app.short_path.pages import Answered, Asked, Headers, Pages

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# The short paths, with the route that the log names and the scope that is needed.
ROUTES = {
    "documents": ("/documents", "/documents/<id:document_id>", "documents:read"),
    "projects": ("/projects", "/projects/<id:project_id>", "projects:read"),
}
PATH = re.compile(r"/(documents|projects)(?:/([1-9][0-9]{0,15})(/documents)?)?", re.ASCII)
ACCEPTED = (None, "*/*", media.JSON)
# What each answer has of its own, and what is said of a body.
OWN = frozenset({"X-Request-ID", *rate_limits.HEADERS})
OF_BODY = frozenset({"Content-Type", "Content-Length"})
MOST_HOSTS = 100
# Pages get as much memory as projects do (app.settings).
SHARE = 8


class Quick(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes


class Wanted(NamedTuple):
    """What a request is for: its route, its scope, and the item's kind and id, or that of the items on a page."""

    route: str
    scope: str
    many: str
    public_id: int | None

    @classmethod
    def of(cls, path: str) -> Wanted | None:
        """Return what ``path`` is for, None if it is for none of these."""
        matched = PATH.fullmatch(path)
        if matched is None:
            return None
        many, number, inside = matched.groups()
        listing, item, scope = ROUTES[many]
        if inside:
            return cls(f"{item}/documents", "documents:read", "documents", None) if many == "projects" else None
        return cls(item, scope, many, int(number)) if number else cls(listing, scope, many, None)


class ShortPath:
    """In front of ``long_path``, from which it learns which pages there are and by which names it is called."""

    def __init__(self, long_path: WSGIApplication, services: Services) -> None:
        self.long_path, self._services = long_path, services
        self._pages = Pages(services.current, services.settings.cache_bytes // SHARE)
        self._hosts: set[str] = set()

    @property
    def is_immediate(self) -> bool:
        """Whether an answer never waits for anything outside of this host."""
        settings = self._services.settings
        return not settings.rate_limit or settings.rate_limit_storage == MEMORY

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request (PEP 3333)."""
        quick = self.answer(environ)
        if quick is None:
            return self.learn(environ, start_response)
        start_response(f"{quick.status} {HTTPStatus(quick.status).phrase}", quick.headers)
        return [quick.body]

    def answer(self, environ: WSGIEnvironment) -> Quick | None:
        """Return the answer to a hot read, None where the long path is to be taken."""
        started = time.monotonic()
        if (
            environ["REQUEST_METHOD"] != "GET"
            or "HTTP_CACHE_CONTROL" in environ
            or environ.get("HTTP_ACCEPT") not in ACCEPTED
            or environ.get("HTTP_HOST") not in self._hosts
        ):
            return None
        wanted, access = (
            Wanted.of(environ["PATH_INFO"]),
            self._services.authenticator.recall(environ.get("HTTP_X_API_KEY")),
        )
        if wanted is None or access is None or wanted.scope not in access.scopes:
            return None
        found = self._page(environ, access) if wanted.public_id is None else self._item(environ, wanted, access)
        return None if found is None else self._finish(environ, found, access, wanted.route, started)

    def learn(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take the long path, and remember what it answers if that is a page."""
        if environ["REQUEST_METHOD"] != "GET":
            return self.long_path(environ, start_response)
        marks = self._pages.marks()
        told: list[tuple[str, Headers]] = []

        def start(status: str, headers: Headers, *exc_info: object) -> Callable[[bytes], object]:
            told[:] = [(status, headers)]
            return start_response(status, headers, *exc_info)  # type: ignore[arg-type]

        answer = self.long_path(environ, start)
        (status, headers), host = told[0], environ.get("HTTP_HOST")
        if not status.startswith("200 ") or not host:
            return answer
        if len(self._hosts) < MOST_HOSTS:
            self._hosts.add(host)
        page = environ.get(PAGE_OF)
        if page is None or page.access.reach is not None:
            return answer
        body = b"".join(answer)
        kept = [(name, value) for name, value in headers if name not in OWN]
        self._pages.keep(_asked(environ, page.access), kept, body, {name: marks[name] for name in page.databases})
        return [body]

    def _item(self, environ: WSGIEnvironment, wanted: Wanted, access: Access) -> Answered | None:
        """Return what everyone gets who may have the item, if it is known as it is now."""
        if wanted.public_id is None or environ["QUERY_STRING"]:
            return None
        item = self._services.current[wanted.many].get(wanted.public_id)
        if item is None or not self._admits(access, wanted, item):
            return None
        body = media.line(item.body)
        headers = {"Content-Type": media.JSON, "Content-Length": str(len(body)), **conditional.headers(item.revision)}
        return Answered(item.revision, list(headers.items()), body, {})

    @staticmethod
    def _admits(access: Access, wanted: Wanted, item: Shown) -> bool:
        if wanted.many == "projects":
            return access.admits_project(item.public_id)
        return access.admits(item.public_id, item.project_id)

    def _page(self, environ: WSGIEnvironment, access: Access) -> Answered | None:
        """Return the page that was answered before. A limited key's page would tell by its time what is beyond it."""
        return self._pages.get(_asked(environ, access)) if access.reach is None else None

    def _finish(
        self, environ: WSGIEnvironment, found: Answered, access: Access, route: str, started: float
    ) -> Quick | None:
        """Return the answer with what is this request's own, None if its principal has asked too often."""
        limiter, verdict = self._services.limiter, None
        has = environ.get("HTTP_IF_NONE_MATCH")
        is_known = has is not None and conditional.names(has, found.tag)
        if limiter is not None:
            verdict = (limiter.look if is_known else limiter.acquire)(READ, access.principal)
            if verdict is not None and not verdict.granted:
                return None
        request_id = choose_request_id(environ.get("HTTP_X_REQUEST_ID"))
        own = {**(rate_limits.described(verdict) if verdict else {}), "X-Request-ID": request_id}
        status, kept = 200, found.headers
        if is_known:
            status, kept = 304, [header for header in kept if header[0] not in OF_BODY]
        facts = {"method": "GET", "request_id": request_id, "status": status, "route": route, "cache": "hit"}
        log_request({**facts, "principal": access.principal}, started, time.monotonic())
        return Quick(status, [*kept, *own.items()], b"" if is_known else found.body)


def _asked(environ: WSGIEnvironment, access: Access) -> Asked:
    """Return what a page's headers and rows depend on: cursors are a principal's own, and `x-next` is a whole URL."""
    place = (environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"], environ["PATH_INFO"])
    return access.principal, *place, environ["QUERY_STRING"]
