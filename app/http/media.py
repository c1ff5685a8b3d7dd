"""What may come in and go out: JSON only, declared and accepted as such."""

from __future__ import annotations

from collections.abc import Iterable

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Request

from app.errors import BadContentType, BadRequest, NotAcceptable, TooLarge
from app.http import strict_json

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# A patch may also be declared as the JSON that it is.
KINDS = {"PATCH": (JSON, MERGE_PATCH)}
INCOMPLETE = "The body could not be read to its end."


def line(body: bytes) -> bytes:
    """Return a body as it is sent: it ends with its line, for who reads it on a terminal."""
    return body + b"\n"


def array(bodies: Iterable[bytes]) -> bytes:
    """Return the JSON array of these bodies as it is sent."""
    return line(b"[" + b",".join(bodies) + b"]")


def require_acceptable(kind: str = JSON) -> None:
    """Raise NotAcceptable unless the Accept header admits ``kind``. An absent or empty header admits anything."""
    if request.headers.get("Accept", "").strip() and not _admits(kind):
        raise NotAcceptable(None if kind == JSON else f"Only {kind} can be answered here.")


def _admits(kind: str) -> bool:
    """Tell whether the best match for ``kind`` has a weight above 0; parameters such as a charset do not count."""
    ranges = [(value.partition(";")[0].strip().lower(), weight) for value, weight in request.accept_mimetypes]
    for wanted in (kind, kind.partition("/")[0] + "/*", "*/*"):
        weights = [weight for value, weight in ranges if value == wanted]
        if weights:
            return max(weights) > 0
    return False


def check_declared(request: Request) -> None:
    """Raise BadContentType or BadRequest for a body that its headers do not declare as plain JSON."""
    kinds = KINDS.get(request.method, (JSON,))
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in kinds or charset not in ("utf-8", "utf8"):
        raise BadContentType(f"The Content-Type must be {' or '.join(kinds)}, in UTF-8.")
    if request.content_encoding not in (None, "identity"):
        raise BadContentType("The body must not be encoded; send it without Content-Encoding.")
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise BadRequest("The only Transfer-Encoding that is understood is chunked.")


def json_body() -> object:
    """Return the parsed body.

    Raises BadContentType, BadRequest, TooLarge or InvalidJSON. No more is read than the limit and one byte, also of
    a body that does not tell its length.
    """
    check_declared(request)
    cut_off_at = request.max_content_length
    too_large = TooLarge(None if cut_off_at is None else f"The body is larger than {cut_off_at - 1} bytes.")
    if cut_off_at is not None and (request.content_length or 0) >= cut_off_at:
        raise too_large
    content = _read()
    if cut_off_at is not None and len(content) >= cut_off_at:
        raise too_large
    return strict_json.parse(content)


def _read() -> bytes:
    """Return the bytes of the body. Each server has its own failures for a body that is framed wrongly."""
    try:
        content = request.get_data(cache=False)
    except ClientDisconnected as error:
        raise BadRequest(INCOMPLETE) from error
    except HTTPException:
        raise
    except Exception as error:
        raise BadRequest(INCOMPLETE) from error
    # A body that ends early is incomplete even where it happens to be JSON (RFC 9112, section 8).
    if request.content_length is not None and len(content) < request.content_length:
        raise BadRequest(INCOMPLETE)
    return content
