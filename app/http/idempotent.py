"""Requests that carry an Idempotency-Key are carried out once, and answered alike however often they come."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from typing import Any

from flask import Response, g, make_response, request

from app.domain.idempotency import Answer, Begun, Idempotency
from app.errors import Conflict, Fault, ServiceError, Unavailable, ValidationFailed
from app.http import errors
from app.store.write_id import WriteId

View = Callable[..., Any]
Reserve = Callable[..., tuple[int, ...]]

METHODS = ("POST", "PATCH", "COPY")
KEY = re.compile(r"[\x21-\x7e]{1,255}")
# A structured field's string (RFC 9651, section 3.3.3): what begins with a quote is one, and is the key within.
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
SHOWN = "The first request made key {}, and only its answer showed its text. Revoke that key and make another."


def once(idempotency: Idempotency, view: View, reserve: Reserve, *, secret: bool = False) -> View:
    """Return ``view`` with `g.attempt` to write with; ``reserve`` returns the ids that it needs for its arguments.

    A ``secret`` success is never kept, so who asks for it again is told that it is over.
    """

    @wraps(view)
    def attempted(**arguments: Any) -> Any:
        key = read_key()
        if key is None:
            g.attempt = WriteId()
            return view(**arguments)
        found = idempotency.begin(g.access.principal, key, digest(arguments), lambda: reserve(**arguments))
        if isinstance(found, Answer):
            return replay(found)
        return carry_out(idempotency, found, view, arguments, secret=secret)

    return attempted


def read_key() -> str | None:
    """Return the key, None if there is none. Raises ValidationFailed for one that cannot be."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    quoted = QUOTED.fullmatch(given)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given
    if not KEY.fullmatch(key) or (given.startswith('"') and not quoted):
        reason = "1 to 255 visible ASCII characters, bare or in quotes, where a quote or backslash follows a backslash."
        raise ValidationFailed(faults=(Fault("header.Idempotency-Key", reason),))
    return key


def digest(arguments: dict[str, Any]) -> str:
    """Return a digest of what is asked: of the same request it is the same, however its JSON is written."""
    refused = [request.headers["If-None-Match"]] if "If-None-Match" in request.headers else []
    asked = [request.method, request.path, request.headers.get("If-Match"), arguments, *refused]
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def carry_out(
    idempotency: Idempotency, begun: Begun, view: View, arguments: dict[str, Any], *, secret: bool
) -> Response:
    """Return the answer to a request that nobody has carried out yet, after it is kept."""
    g.attempt = begun.write_id
    try:
        response = make_response(view(**arguments))
    except Exception as error:
        if not isinstance(error, ServiceError) or is_passing(errors.STATUS[error.code]):
            idempotency.release(begun)
            raise
        response = errors.answer(error)
    if g.pop("is_passing", False):
        idempotency.release(begun)
        return response
    if secret and response.status_code < 300:
        # What is made is made: who is not shown it now could never have it.
        with suppress(Unavailable):
            made = response.get_json()["id"]
            idempotency.finish(begun, content(errors.answer(Conflict(SHOWN.format(made)))))
        return response
    try:
        return answer(idempotency.finish(begun, content(response)))
    except Unavailable:
        idempotency.release(begun)
        raise


def is_passing(status: int) -> bool:
    """Tell whether an answer of ``status`` says nothing of what was asked, so that it is to be asked again."""
    return status in (401, 403, 429) or status >= 500


def content(response: Response) -> Answer:
    """Return what there is to keep of a response."""
    return Answer(response.status_code, dict(response.headers), response.get_data(as_text=True))


def answer(kept: Answer) -> Response:
    """Return the response that an answer was made of."""
    response = Response(kept.body, kept.status)
    response.headers.clear()
    response.headers.update(kept.headers)
    return response


def replay(kept: Answer) -> Response:
    """Return the first answer again, and say that it is."""
    response = answer(kept)
    response.headers["Idempotency-Replayed"] = "true"
    return response
