"""Makes the environment of a WSGI application (PEP 3333) from the scope of an ASGI one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Scope = Mapping[str, Any]

# Clients choose the names of their headers, so only so many are remembered.
MOST_NAMES = 512


def wsgi_environ(scope: Scope) -> WSGIEnvironment:
    """Return the environment of one request, but for its body."""
    path, query = target(scope["raw_path"], scope["query_string"])
    (server, port), (client, client_port) = scope["server"], scope["client"]
    environ: WSGIEnvironment = {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        # A body ends where its stream ends, also one that does not tell its length.
        "wsgi.input_terminated": True,
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server,
        "SERVER_PORT": str(port),
        "REMOTE_ADDR": client,
        "REMOTE_PORT": str(client_port),
    }
    for header, content in scope["headers"]:
        name, value = variable(header), content.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


@lru_cache(MOST_NAMES)
def variable(header: bytes) -> str:
    """Return what CGI calls a header, whose name is in lower case."""
    name = header.decode("latin-1").upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def target(path: bytes, query: bytes) -> tuple[str, str]:
    """Return the path, decoded, and the query of a request's target."""
    if path[:1] != b"/" or b"#" in path or b"#" in query:
        return unusual(path + b"?" + query if query else path)
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("latin-1"), query.decode("latin-1")


def unusual(uri: bytes) -> tuple[str, str]:
    """Return the same of a target that names a host as well, or a fragment, which is no part of it."""
    # Two slashes at the start begin a path, and not the name of a host.
    dot = "." if uri.startswith(b"//") else ""
    parts = urlsplit(dot + uri.decode("latin-1"))
    return unquote_to_bytes(parts.path.removeprefix(dot)).decode("latin-1"), parts.query
