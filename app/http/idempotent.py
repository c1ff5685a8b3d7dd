"""Runs a request with an Idempotency-Key once, and gives every repetition the first answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from flask import request

from app.domain.idempotency import Begun, Idempotency, StoredAnswer
from app.errors import Conflict, Fault, ServiceError, Unavailable, ValidationFailed
from app.http import errors
from app.http.answers import Answer
from app.store.items import WriteId

# Carries out the request under a write id, and returns the rendered answer.
Run = Callable[[WriteId], Answer]

METHODS = ("POST", "PATCH", "COPY")
KEY = re.compile(r"[\x21-\x7e]{1,255}")
# A string of structured fields (RFC 9651, section 3.3.3). A value that begins with a quote must be one.
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
STATELESS = "This request stores nothing and takes no Idempotency-Key: repeat it without one."
SHOWN = "The first request created key {}, whose text was shown once in its answer. Revoke that key and create another."


def run_once(
    idempotency: Idempotency,
    principal: str,
    target: tuple[str, str],
    arguments: dict[str, Any],
    *,
    run: Run,
    reserve: Callable[[], tuple[int, ...]],
    is_secret: bool,
) -> Answer:
    """Return the answer of ``run``, or the stored answer of an earlier request with the same Idempotency-Key.

    ``target`` is the method and path that identify the operation. ``arguments`` are the request's; ``reserve`` returns
    the ids that it needs for new items. A success that ``is_secret`` is never stored: a repetition is a 409 instead.
    Raises ValidationFailed for a malformed key, and all errors of ``Idempotency.begin``.
    """
    key = read_key(request.headers["Idempotency-Key"])
    outcome = idempotency.begin(principal, key, digest(target, arguments), reserve)
    if isinstance(outcome, StoredAnswer):
        replayed = _restored(outcome)
        return Answer(replayed.body, replayed.status, {**replayed.headers, "Idempotency-Replayed": "true"})
    return _run_and_store(idempotency, outcome, run, is_secret=is_secret)


def read_key(text: str) -> str:
    """Return the key in the header ``text``. Raises ValidationFailed for a malformed one."""
    quoted = QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not KEY.fullmatch(key) or (text.startswith('"') and not quoted):
        reason = "Must be 1 to 255 visible ASCII characters, bare or in quotes; a backslash escapes quotes and itself."
        raise ValidationFailed(faults=(Fault("header.Idempotency-Key", reason),))
    return key


def refuse_key() -> None:
    """Raise ValidationFailed if the request has an Idempotency-Key: no answer is stored that could be repeated."""
    if "Idempotency-Key" in request.headers:
        raise ValidationFailed(faults=(Fault("header.Idempotency-Key", STATELESS),))


def digest(target: tuple[str, str], arguments: dict[str, Any]) -> str:
    """Return a digest of the request, the same for an alias, and for the same JSON however it is written."""
    headers = request.headers
    refused = [headers["If-None-Match"]] if "If-None-Match" in headers else []
    unmodified = [["If-Unmodified-Since"]] if "If-Unmodified-Since" in headers else []
    content = [*target, headers.get("If-Match"), arguments, *refused, *unmodified]
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def is_retryable(status: int) -> bool:
    """Return whether an answer of ``status`` is no result of the request, so that a repetition runs again."""
    return status in (401, 403, 429) or status >= 500


def _run_and_store(idempotency: Idempotency, begun: Begun, run: Run, *, is_secret: bool) -> Answer:
    try:
        answer = run(begun.write_id)
    except Exception as error:
        if not isinstance(error, ServiceError) or is_retryable(error.status):
            idempotency.release(begun)
            raise
        answer = errors.answer(error)
    if answer.is_retryable:
        idempotency.release(begun)
        return answer
    if is_secret and (answer.status or 200) < 300:
        _store_refusal(idempotency, begun, answer)
        return answer
    try:
        return _restored(idempotency.finish(begun, _storable(answer)))
    except Unavailable:
        idempotency.release(begun)
        raise


def _store_refusal(idempotency: Idempotency, begun: Begun, answer: Answer) -> None:
    """Store a 409 for repetitions. A failure is ignored: the key exists, and only this answer can show its text."""
    refusal = errors.answer(Conflict(SHOWN.format(json.loads(answer.body)["id"])))
    with suppress(Unavailable):
        idempotency.finish(begun, _storable(refusal))


def _storable(answer: Answer) -> StoredAnswer:
    return StoredAnswer(answer.status or 200, dict(answer.headers), answer.body.decode())


def _restored(stored: StoredAnswer) -> Answer:
    return Answer(stored.body.encode(), stored.status, stored.headers)
