"""Compares the answers of the response cache with Flask's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from werkzeug.test import Client, EnvironBuilder

from app import Application

# Status, headers in their order without a generated request id, body.
Response = tuple[int, list[tuple[str, str]], bytes]


def compare(app: Application, path: str, headers: Mapping[str, str]) -> bool:
    """Return whether a GET is a hit of the cache, and check that Flask answers it in the same way.

    Writes by others may change Flask's answer meanwhile; then nothing is checked.
    """
    if cached(app, path, headers) is None:
        return False
    before, hit, after = by_flask(app, path, headers), cached(app, path, headers), by_flask(app, path, headers)
    assert hit is None or before != after or hit == before
    return hit is not None


def cached(app: Application, path: str, headers: Mapping[str, str]) -> Response | None:
    """Return the answer of the cache, None for a miss."""
    hit = app.response_cache.lookup(EnvironBuilder(path, headers=[*headers.items()]).get_environ())
    return hit and (hit.status, comparable(hit.headers, headers), hit.body)


def by_flask(app: Application, path: str, headers: Mapping[str, str]) -> Response:
    """Return Flask's answer."""
    answer = Client(app.wsgi_app).get(path, headers=dict(headers))
    return answer.status_code, comparable(answer.headers.items(), headers), answer.data


def comparable(response: Iterable[tuple[str, str]], sent: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of a response without a request id that the client did not send."""
    return [(name, value) for name, value in response if name != "X-Request-ID" or "X-Request-ID" in sent]
