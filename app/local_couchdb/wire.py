"""Sends one HTTP request to a local database server, by the standard library alone."""

from __future__ import annotations

import base64
import http.client
import json
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit


def request(
    url: str, method: str = "GET", path: str = "/", body: object = None, timeout: float = 10.0
) -> tuple[int, Any]:
    """Return status and decoded body of one request to the server at ``url``, whose credentials it sends.

    ``body`` is sent as JSON unless None. Raises OSError, HTTPException, and ValueError for an answer that
    is not JSON.
    """
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if parts.username:
        token = base64.b64encode(unquote(f"{parts.username}:{parts.password or ''}").encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    with closing(connect(parts.hostname or "", parts.port, timeout=timeout)) as connection:
        payload = None if body is None else json.dumps(body)
        connection.request(method, parts.path.rstrip("/") + path, payload, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def read(url: str, path: str = "/") -> dict[str, Any] | None:
    """Return the JSON object at ``path``, or None if the server does not answer with one."""
    try:
        status, body = request(url, path=path, timeout=5)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return body if status == 200 and isinstance(body, dict) else None
