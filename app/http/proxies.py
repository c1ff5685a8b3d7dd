"""Gives a request the address that clients know: as trusted proxies report it, or as DREAMSCRIPT_PUBLIC_URL says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from werkzeug.http import parse_list_header
from werkzeug.middleware.proxy_fix import ProxyFix

from app.urls import DEFAULT_PORTS

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


PORT = re.compile(r":[0-9]+\Z", re.ASCII)
# Some proxies report a client with its port, which differs from connection to connection.
CLIENT = re.compile(r"\[([^]]+)\](?::[0-9]+)?|([^:]+):[0-9]+", re.ASCII)


def behind_proxies(hops: int, public_url: str, wsgi: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``wsgi`` as it answers behind ``hops`` trusted proxies, under ``public_url`` unless that is empty.

    The proxies set X-Forwarded-For, -Proto, -Host, -Port and -Prefix. Of a header with several values, the last ones
    are theirs, and any before these may be the client's own. A port in -Host is the one that clients use, whereas -Port
    may be the proxy's own behind another mapping of ports.
    """
    if not (hops or public_url):
        return wsgi
    published = published_at(public_url) if public_url else {}

    def addressed(environ: WSGIEnvironment, start_response: Any) -> Any:
        scheme, received = environ["wsgi.url_scheme"].lower(), environ["werkzeug.proxy_fix.orig"]["wsgi.url_scheme"]
        environ["wsgi.url_scheme"] = scheme if scheme in DEFAULT_PORTS else received
        environ["SCRIPT_NAME"] = path_prefix(environ["SCRIPT_NAME"])
        environ["REMOTE_ADDR"] = without_port(environ.get("REMOTE_ADDR", ""))
        environ.update(published)
        return wsgi(environ, start_response)

    fixed = ProxyFix(addressed, x_for=hops, x_proto=hops, x_host=hops, x_port=hops, x_prefix=hops)

    def forwarded(environ: WSGIEnvironment, start_response: Any) -> Any:
        hosts = parse_list_header(environ.get("HTTP_X_FORWARDED_HOST", ""))
        if 0 < hops <= len(hosts) and PORT.search(hosts[-hops]):
            environ.pop("HTTP_X_FORWARDED_PORT", None)
        return fixed(environ, start_response)

    return forwarded


def published_at(public_url: str) -> dict[str, str]:
    """Return the parts of the WSGI environment that links are made of, for a URL as ``app.urls.public_url`` has it."""
    parts = urlsplit(public_url)
    return {
        "wsgi.url_scheme": parts.scheme,
        "HTTP_HOST": parts.netloc,
        "SCRIPT_NAME": unquote(parts.path, "latin-1"),
    }


def path_prefix(text: str) -> str:
    """Return a path prefix as WSGI has it: decoded, with a slash before it and none after it, or empty."""
    segments = unquote(text, "latin-1").strip("/ ")
    return f"/{segments}" if segments else ""


def without_port(client: str) -> str:
    """Return the address of a client without a port and without brackets."""
    matched = CLIENT.fullmatch(client)
    return client if matched is None else matched[1] or matched[2]
