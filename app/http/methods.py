"""The methods that the path of a request allows, as headers of a response, and whether a request only reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import current_app, request

from app.http.arguments import REQUEST_TYPES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# RFC 5789, section 3.1.
ACCEPT_PATCH = {"Accept-Patch": ", ".join(REQUEST_TYPES["PATCH"])}


def allowed_methods() -> list[str]:
    """Return the methods that the current request's path allows; none if there is nothing at this path."""
    adapter = current_app.create_url_adapter(request)
    assert adapter is not None
    return sorted(adapter.allowed_methods())


def allow_headers() -> dict[str, str]:
    """Return the headers of a response to OPTIONS."""
    methods = allowed_methods()
    return {"Allow": ", ".join(methods), **accept_patch(methods)}


def accept_patch(methods: list[str]) -> dict[str, str]:
    """Return the header that lists the types of patches, where they are allowed."""
    return ACCEPT_PATCH if "PATCH" in methods else {}


def starts_with_two_slashes(environ: WSGIEnvironment) -> bool:
    """Return whether a path begins with an empty segment, which Werkzeug's router would ignore."""
    return bool(environ["PATH_INFO"].startswith("//"))


def is_read() -> bool:
    """Return whether the request changes nothing, so that it may be a 304 and counts as a read."""
    return request.environ["REQUEST_METHOD"] in ("GET", "HEAD")
