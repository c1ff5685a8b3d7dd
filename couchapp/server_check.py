"""Checks that a URL leads to a CouchDB server, and explains to an operator why it does not."""

from __future__ import annotations

import ssl
from http.client import HTTPException
from urllib.parse import urlsplit

from app.couch.connection import AnswerLost, Connection, DatabaseError, Refused, Unreachable

# CouchDB and PouchDB Server introduce themselves with one of these members at their root.
WELCOME = ("couchdb", "express-pouchdb")
TIMEOUT_SECONDS = 3.0
MEMBER_HINT = "a wrong name or password; special characters in them must be percent-encoded"


class NotCouchDB(DatabaseError):
    """The URL of a setting does not lead to a usable CouchDB; the message names the setting and the correction."""


def check_server(connection: Connection, setting: str) -> None:
    """Return if ``connection``, whose URL is that of ``setting``, leads to CouchDB and it accepts the credentials.

    Raises NotCouchDB, whose message contains no credentials.
    """
    try:
        welcome = connection.get("", timeout=TIMEOUT_SECONDS).body
        if isinstance(welcome, dict) and any(member in welcome for member in WELCOME):
            return
        reason = _not_couchdb(connection, "its root is not CouchDB's")
    except Unreachable as failure:
        reason = _unreachable(failure)
    except AnswerLost as failure:
        reason = _answer_lost(failure)
    except Refused as refusal:
        reason = _refused(connection, refusal)
    raise NotCouchDB(f"{setting}: {reason}")


def _unreachable(failure: Unreachable) -> str:
    cause = failure.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"{failure} (its certificate is not trusted; SSL_CERT_FILE names a file of trusted authorities)"
    if isinstance(cause, ssl.SSLError):
        return f"{failure}. The server does not speak TLS on this port: write http:// or its port for https"
    return f"{failure}. Start CouchDB there, or correct host and port in the URL"


def _answer_lost(failure: AnswerLost) -> str:
    cause = failure.__cause__
    if isinstance(cause, TimeoutError):
        return f"the server does not answer within {TIMEOUT_SECONDS:.0f} seconds: is it CouchDB, and not overloaded?"
    if isinstance(cause, HTTPException | OSError):
        return "the server does not answer in HTTP: write https:// if this port expects TLS, or correct the port"
    return "the server is not CouchDB: its answer is not JSON. Correct host and port in the URL"


def _refused(connection: Connection, refusal: Refused) -> str:
    if refusal.status == 401:
        return f"the server refuses the credentials in the URL ({MEMBER_HINT})"
    if 300 <= refusal.status < 400:
        return f"the server redirects elsewhere ({refusal.status}): write the final URL, perhaps with https://"
    if refusal.status == 400:
        return "the server does not understand the request (400): write https:// if this port expects TLS"
    if refusal.status in (502, 503, 504):
        return f"the server has no CouchDB to offer now ({refusal.status}): start CouchDB behind it, or try again"
    return _not_couchdb(connection, f"it answers {refusal.status}")


def _not_couchdb(connection: Connection, symptom: str) -> str:
    if urlsplit(connection.url).path:
        return f"there is no CouchDB at the path in the URL ({symptom}): name the server alone, as http://host:port"
    return f"the server is not CouchDB ({symptom}): correct host and port in the URL"
