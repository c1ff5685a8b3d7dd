"""Decides whose request it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from app.domain.access import Access
from app.domain.keys.authenticator import Authenticator
from app.http.credentials import key_text

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class Identity(NamedTuple):
    """The rights behind a request.

    A client that waits for long has them checked again: ``check`` returns them, and raises Unauthorized once they have
    ended, and Unavailable if the database does not answer.
    """

    access: Access
    check: Callable[[], Access]


def identify(authenticator: Authenticator, environ: WSGIEnvironment) -> Identity:
    """Return the identity of a request. Raises Unauthorized, ValidationFailed and Unavailable."""
    check = partial(authenticator.authenticate, key_text(environ))
    return Identity(check(), check)
