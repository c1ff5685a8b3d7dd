"""Finds the API key of a request: in X-API-Key, or as a bearer token (RFC 6750, section 2.1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.errors import Fault, ValidationFailed

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The name of a scheme is in any case (RFC 9110, section 11.1). Other schemes are not ours: a proxy may want Basic.
BEARER = re.compile(r"bearer[ \t]+([^ \t].*)", re.IGNORECASE | re.DOTALL)
TWO_KEYS = "Send the key either in X-API-Key or as Authorization: Bearer, not in both."


def key_text(environ: WSGIEnvironment) -> str | None:
    """Return the key that a request carries, None without one; an empty header counts as absent.

    Raises ValidationFailed for two keys.
    """
    key, authorization = environ.get("HTTP_X_API_KEY"), environ.get("HTTP_AUTHORIZATION")
    bearer = BEARER.fullmatch(authorization) if authorization else None
    if bearer is None:
        return key
    if key:
        raise ValidationFailed(faults=(Fault("header.Authorization", TWO_KEYS),))
    token: str = bearer[1]
    return token.rstrip()
