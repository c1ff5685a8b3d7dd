"""Makes WSGI environments (PEP 3333) from ASGI scopes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Clients choose the names of their headers, so the cache of names is bounded.
MAX_CACHED_NAMES = 512
MAX_CACHED_CONNECTIONS = 2048


def wsgi_environ(scope: Mapping[str, Any]) -> WSGIEnvironment:
    """Return the environment of one request, without its body."""
    path = scope["raw_path"]
    environ = connection_environ(scope["scheme"], scope["server"], scope["client"]).copy()
    environ["wsgi.errors"] = sys.stderr
    environ["REQUEST_METHOD"] = scope["method"]
    environ["PATH_INFO"] = (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")
    environ["QUERY_STRING"] = scope["query_string"].decode("latin-1")
    environ["SERVER_PROTOCOL"] = f"HTTP/{scope['http_version']}"
    for header, content in scope["headers"]:
        name, value = cgi_name(header), content.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


@lru_cache(MAX_CACHED_CONNECTIONS)
def connection_environ(scheme: str, server: tuple[str, int], client: tuple[str, int] | None) -> WSGIEnvironment:
    """Return the entries that all requests of a connection have; copy them."""
    # A client that has left by now has no address.
    address, port = client or ("", 0)
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        # The file ends where the body ends, also if its length is not declared.
        "wsgi.input_terminated": True,
        "SCRIPT_NAME": "",
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": address,
        "REMOTE_PORT": str(port),
    }


@lru_cache(MAX_CACHED_NAMES)
def cgi_name(header: bytes) -> str:
    """Return the CGI name of a header in lower case."""
    name = header.decode("latin-1").upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
