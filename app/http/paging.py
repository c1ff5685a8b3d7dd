"""Turns a page into an answer: `x-next`, `Link`, the tag, and 304 before any body is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import request

from app.domain.access import Access
from app.domain.listing.cursors import Cursors
from app.domain.listing.pages import ListQuery, Page
from app.domain.resources import RenderedItem
from app.http import conditional, media
from app.http.answer import Answer
from app.wiring import Services

HEADERS = (*conditional.NAMES, "x-next", "Link")


def bodies(items: Sequence[RenderedItem]) -> bytes:
    """Return the JSON array of rendered items."""
    return media.array(item.body for item in items)


class Paging:
    """Reads the query parameters that listings share, and answers with pages."""

    def __init__(self, cursors: Cursors, page_size: int, max_page_size: int) -> None:
        self._cursors, self._page_size, self._max_page_size = cursors, page_size, max_page_size

    @classmethod
    def of(cls, services: Services) -> Paging:
        """Return the paging of a service with its settings."""
        return cls(services.cursors, services.settings.page_size, services.settings.max_page_size)

    def query(self, access: Access, arguments: Mapping[str, Any], **fixed: Any) -> ListQuery:
        """Return the query of a validated query string and of filters ``fixed`` by the path. Raises InvalidCursor."""
        filters = {name: value for name, value in arguments.items() if name not in ("limit", "cursor")}
        limit = min(arguments.get("limit", self._page_size), self._max_page_size)
        query = ListQuery(limit=limit, **filters, **fixed)
        cursor = arguments.get("cursor")
        if cursor is None:
            return query
        position = self._cursors.read(cursor, *_binding(access, query))
        return ListQuery(limit=limit, position=position, **filters, **fixed)

    def answer(
        self,
        access: Access,
        query: ListQuery,
        page: Page,
        load: Callable[[Access, Page], Page],
        render: Callable[[Sequence[Any]], Any] = bodies,
    ) -> Answer:
        """Return the page of ``query``, or a 304 that costs no read of the items.

        ``load`` reads the items of the page; ``render`` turns them into the answer's body.
        """
        if known := page.known_as(conditional.if_none_match()):
            return Answer(status=304, headers=self._headers(access, query, known), is_cacheable=True)
        page = load(access, page)
        return Answer(render(page.items), headers=self._headers(access, query, page), is_cacheable=True)

    def _headers(self, access: Access, query: ListQuery, page: Page) -> dict[str, str]:
        headers = conditional.headers(page.tag)
        if page.last_position is None:
            return headers
        cursor = self._cursors.write(page.last_position, *_binding(access, query))
        url = f"{request.base_url}?{urlencode({**request.args.to_dict(), 'cursor': cursor}, safe=',')}"
        return {**headers, "x-next": url, "Link": f'<{url}>; rel="next"'}


def _binding(access: Access, query: ListQuery) -> tuple[object, ...]:
    """Return the values that a cursor is bound to; the limit may change from page to page."""
    return access.principal, request.path, query.order, query.project_id, query.ids
