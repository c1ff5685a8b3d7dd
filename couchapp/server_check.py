"""Checks that a URL leads to a CouchDB server, and explains to an operator why it does not; standard library alone."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from contextlib import closing
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

# CouchDB and PouchDB Server introduce themselves with one of these members at their root.
WELCOME = ("couchdb", "express-pouchdb")
TIMEOUT_SECONDS = 3.0
CORRECT = "correct host and port in the URL"


class NotCouchDB(Exception):
    """The URL of a setting does not lead to a usable CouchDB; the message names the setting and the correction."""


def check_server(url: str, setting: str) -> None:
    """Return if ``url``, the value of ``setting``, leads to CouchDB and it accepts the credentials in the URL.

    Raises NotCouchDB, whose message contains no credentials.
    """
    parts = urlsplit(url)
    try:
        status, body = _get(parts, "/")
    except (OSError, UnicodeError) as error:
        reason = _unreachable(parts, error)
    except http.client.HTTPException:
        reason = "the server does not answer in HTTP: write https:// if this port expects TLS, or correct the port"
    else:
        if status == 200 and isinstance(body, dict) and any(member in body for member in WELCOME):
            return
        reason = _another_answer(parts, status, body)
    raise NotCouchDB(f"{setting}: {reason}")


def has_fauxton(url: str) -> bool:
    """Return whether the server shows Fauxton, its web console. Some installations leave it out."""
    try:
        status, _ = _get(urlsplit(url), "/_utils/")
    except (OSError, http.client.HTTPException):
        return False
    return status == 200


def _get(parts: SplitResult, path: str) -> tuple[int, Any]:
    """Return status and JSON of a path of the server, None for a body that is not JSON."""
    headers = {"Accept": "application/json"}
    if parts.username:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(credentials.encode()).decode()}"
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    with closing(connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
        response = connection.getresponse()
        try:
            return response.status, json.loads(response.read())
        except ValueError:
            return response.status, None


def _unreachable(parts: SplitResult, error: Exception) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {address} is not trusted; SSL_CERT_FILE names a file of trusted authorities"
    if isinstance(error, ssl.SSLError):
        return f"{address} does not speak TLS: write http://, or the port for https"
    if isinstance(error, ConnectionResetError):
        return f"{address} ends the connection: write https:// if this port expects TLS, or correct the port"
    if isinstance(error, TimeoutError):
        hint = " If it does not speak TLS on this port, write http://." if parts.scheme == "https" else ""
        return f"{address} does not answer within {TIMEOUT_SECONDS:.0f} seconds: is CouchDB running there?{hint}"
    reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
    return f"no connection to {address}: {reason}. Start CouchDB there, or {CORRECT}"


def _another_answer(parts: SplitResult, status: int, body: object) -> str:
    """Return the reason why an answer in HTTP is not that of CouchDB's root."""
    if status == 401:
        return "the server refuses user and password in the URL; special characters in them must be percent-encoded"
    if status == 403 and isinstance(body, dict) and body.get("error") == "forbidden":
        return (
            "the server refuses the user in the URL (403): CouchDB locks an account for some minutes after several "
            "wrong passwords. Correct the password, and try again later"
        )
    if 300 <= status < 400:
        return f"the server redirects elsewhere ({status}): write the final URL, perhaps with https://"
    if status == 400:
        return "the server does not understand the request (400): write https:// if this port expects TLS"
    if status in (502, 503, 504):
        return f"the server has no CouchDB behind it now ({status}): start CouchDB, or {CORRECT}"
    symptom = f"it answers {status}" if status != 200 else "its root is another JSON" if body else "it answers no JSON"
    if parts.path.rstrip("/"):
        return f"there is no CouchDB at the path in the URL ({symptom}): name the server alone, as http://host:port"
    return f"the server is not CouchDB ({symptom}): {CORRECT}"
