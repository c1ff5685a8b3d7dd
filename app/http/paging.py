"""Turns a page into an answer: `x-next`, `Link`, the tag, and 304 before any body is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from flask import request

from app.domain.access import Access
from app.domain.listing.pages import ListQuery, Page
from app.http import answers
from app.http.answers import Answer, array, tag_headers
from app.http.arguments import if_none_match
from app.services import Services

# Of pages, for the OpenAPI document.
HEADER_NAMES = (*answers.HEADER_NAMES, "x-next", "Link")


def list_query(services: Services, access: Access, arguments: Mapping[str, Any], **fixed: Any) -> ListQuery:
    """Return the query of a validated query string and of filters ``fixed`` by the path. Raises InvalidCursor."""
    filters = {name: value for name, value in arguments.items() if name not in ("limit", "cursor")}
    limit = arguments.get("limit", services.settings.page_size)
    query = ListQuery(min(limit, services.settings.max_page_size), **filters, **fixed)
    if "cursor" not in arguments:
        return query
    return replace(query, position=services.cursors.read(arguments["cursor"], *_binding(access, query)))


def page_answer(
    services: Services,
    access: Access,
    query: ListQuery,
    page: Page,
    load: Callable[[Access, Page], Page],
    render: Callable[[Sequence[Any]], Any] = array,
) -> Answer:
    """Return the page of ``query``, or a 304 that costs no read of the items.

    ``load`` reads the items of the page; ``render`` turns them into the answer's body.
    """
    if known := page.known_as(if_none_match()):
        return Answer(status=304, headers=_headers(services, access, query, known), is_cacheable=True)
    page = load(access, page)
    return Answer(render(page.items), headers=_headers(services, access, query, page), is_cacheable=True)


def _headers(services: Services, access: Access, query: ListQuery, page: Page) -> dict[str, str]:
    headers = tag_headers(page.tag)
    if page.last_position is None:
        return headers
    return {**headers, **next_links(services.cursors.write(page.last_position, *_binding(access, query)))}


def next_links(cursor: str) -> dict[str, str]:
    """Return the headers that lead to the next page, which has the same filters."""
    url = f"{request.base_url}?{urlencode({**request.args.to_dict(), 'cursor': cursor}, safe=',')}"
    return {"x-next": url, "Link": f'<{url}>; rel="next"'}


def _binding(access: Access, query: ListQuery) -> tuple[object, ...]:
    """Return the values that a cursor is bound to; the limit may change from page to page."""
    return access.principal, request.path, query.order, query.project_id, query.ids
