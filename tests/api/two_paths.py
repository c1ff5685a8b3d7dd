"""Holds what the short path answers against what the long path does."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.test import Client, EnvironBuilder

from app import Application

# What a whole answer is, without the id that each request has of its own.
Whole = tuple[int, list[tuple[str, str]], bytes]


def compare(app: Application, path: str, headers: Mapping[str, str]) -> bool:
    """Tell whether there is a short path for a GET; where there is, what it answers must be what the long one does.

    Where others write meanwhile, the long path answers differently itself, and nothing is held against the other.
    """
    if short_path(app, path, headers) is None:
        return False
    before, quick, after = long_path(app, path, headers), short_path(app, path, headers), long_path(app, path, headers)
    assert quick is None or before != after or quick == before
    return quick is not None


def short_path(app: Application, path: str, headers: Mapping[str, str]) -> Whole | None:
    """Return what the short path answers, None where it leaves the request to the other."""
    quick = app.response_cache.lookup(EnvironBuilder(path, headers=[*headers.items()]).get_environ())
    return quick and (quick.status, own(quick.headers, headers), quick.body)


def long_path(app: Application, path: str, headers: Mapping[str, str]) -> Whole:
    """Return what the long path answers."""
    answer = Client(app.response_cache.long_path).get(path, headers=dict(headers))
    return answer.status_code, own(answer.headers.items(), headers), answer.data


def own(found: object, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return headers in their order, less an id that the request did not bring."""
    return [(name, value) for name, value in found if name != "X-Request-ID" or "X-Request-ID" in headers]  # type: ignore[attr-defined]
