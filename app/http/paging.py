"""Turns a page into an answer: `x-next`, `Link`, the tag, and 304 before any body is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import Response, g, request

from app.domain.access import Access
from app.domain.listing.cursors import Cursors
from app.domain.listing.pages import ListQuery, Page
from app.domain.rendered import RenderedItem
from app.http import conditional, media
from app.wiring import Services

HEADERS = (*conditional.NAMES, "x-next", "Link")
# Under which name in a WSGI environ an answer is declared to be a page.
PAGE_OF = "dreamscript.page"


class PageOf(NamedTuple):
    """Who a page was made for, and which databases it was made of."""

    access: Access
    databases: tuple[str, ...]


class Paging:
    """Reads the common query parameters of listings and answers with pages."""

    def __init__(self, cursors: Cursors, page_size: int, max_page_size: int) -> None:
        self._cursors, self._page_size, self._max_page_size = cursors, page_size, max_page_size

    @classmethod
    def of(cls, services: Services) -> Paging:
        """Return the pages of a service as it is set."""
        return cls(services.cursors, services.settings.page_size, services.settings.max_page_size)

    def query(self, arguments: Mapping[str, Any], **fixed: Any) -> ListQuery:
        """Return the query that a validated query string and the path's own filters make. Raises InvalidCursor."""
        filters = {name: value for name, value in arguments.items() if name not in ("limit", "cursor")}
        limit = min(arguments.get("limit", self._page_size), self._max_page_size)
        query = ListQuery(limit=limit, **filters, **fixed)
        cursor = arguments.get("cursor")
        if cursor is None:
            return query
        position = self._cursors.read(cursor, *_binding(query))
        return ListQuery(limit=limit, position=position, **filters, **fixed)

    def answer(
        self, query: ListQuery, page: Page, load: Callable[[Page], Page], show: Callable[[Sequence[Any]], Any] = tuple
    ) -> Response | tuple[Any, dict[str, str]]:
        """Return the page's items with its headers, or a 304; ``load`` reads the items, which a 304 does without.

        ``show`` makes of the items what is answered.
        """
        headers = self._headers(query, page)
        if conditional.not_modified(page.tag):
            return conditional.without_body(headers)
        page = load(page)
        return show(page.items), self._headers(query, page)

    def _headers(self, query: ListQuery, page: Page) -> dict[str, str]:
        headers = conditional.headers(page.tag)
        if page.next_position is None:
            return headers
        cursor = self._cursors.write(page.next_position, *_binding(query))
        url = f"{request.base_url}?{urlencode({**request.args.to_dict(), 'cursor': cursor}, safe=',')}"
        return {**headers, "x-next": url, "Link": f'<{url}>; rel="next"'}


def declare(*databases: str) -> None:
    """Say that the answer will be a page that changes only when something in these databases does."""
    request.environ[PAGE_OF] = PageOf(g.access, databases)


def bodies(items: Sequence[RenderedItem]) -> Response:
    """Return the answer with the bodies of these items."""
    return Response(media.array(item.body for item in items), mimetype=media.JSON)


def _binding(query: ListQuery) -> tuple[object, ...]:
    """Return what a cursor belongs to; the limit may change from page to page."""
    return g.access.principal, request.path, query.order, query.project_id, query.ids
