"""One HTTP request to a database server, before there is anything better to speak to it with."""

from __future__ import annotations

import base64
import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit


def request(url: str, method: str = "GET", path: str = "/", body: object = None, wait: float = 10.0) -> tuple[int, Any]:
    """Return status and decoded body of one request to the server at ``url``, whose credentials it sends.

    ``body`` is sent as JSON unless None. Raises OSError, HTTPException, and ValueError for an answer that
    is not JSON.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if parts.username:
        token = base64.b64encode(unquote(f"{parts.username}:{parts.password}").encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    with closing(kind(parts.hostname or "", parts.port, timeout=wait)) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request(method, parts.path.rstrip("/") + path, sent, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def read(url: str, path: str = "/") -> dict[str, Any] | None:
    """Return the object at ``path``, None as long as the server does not answer with one."""
    try:
        status, body = request(url, path=path, wait=5)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return body if status == 200 and isinstance(body, dict) else None
