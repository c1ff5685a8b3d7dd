"""Media types: requests and answers are JSON, and declared and accepted as such."""

from __future__ import annotations

from collections.abc import Iterable

from flask import request
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.wrappers import Request

from app.errors import BadContentType, BadRequest, NotAcceptable, TooLarge
from app.http import strict_json

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
# A patch may also be declared as plain JSON.
REQUEST_TYPES = {"PATCH": (JSON, MERGE_PATCH)}
INCOMPLETE = "The body could not be read to its end."


def line(body: bytes) -> bytes:
    """Return a body as it is sent: with a line end, for people who read it on a terminal."""
    return body + b"\n"


def array(bodies: Iterable[bytes]) -> bytes:
    """Return a JSON array of rendered items as it is sent."""
    return line(b"[" + b",".join(bodies) + b"]")


def require_acceptable(media_type: str) -> None:
    """Raise NotAcceptable unless the Accept header admits ``media_type``. An absent or empty header admits any."""
    if request.headers.get("Accept", "").strip() and not _admits(media_type):
        raise NotAcceptable(f"Only {media_type} is available here; the Accept header does not admit it.")


def _admits(media_type: str) -> bool:
    """Return whether the most specific match has a weight above 0; parameters such as a charset are ignored."""
    ranges = [(value.partition(";")[0].strip().lower(), weight) for value, weight in request.accept_mimetypes]
    for pattern in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        weights = [weight for value, weight in ranges if value == pattern]
        if weights:
            return max(weights) > 0
    return False


def check_declared(request: Request) -> None:
    """Raise BadContentType or BadRequest for a body that its headers do not declare as plain JSON."""
    types = REQUEST_TYPES.get(request.method, (JSON,))
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype not in types or charset not in ("utf-8", "utf8"):
        raise BadContentType(f"The Content-Type must be {' or '.join(types)}, in UTF-8.")
    if request.content_encoding not in (None, "identity"):
        raise BadContentType("The body must not be encoded; send it without Content-Encoding.")
    if request.headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
        raise BadRequest("The only supported Transfer-Encoding is chunked.")


def json_body() -> object:
    """Return the parsed body.

    Raises BadContentType, BadRequest, TooLarge or InvalidJSON. At most one byte more than the limit is read, also from
    a body without Content-Length.
    """
    check_declared(request)
    max_bytes = request.max_content_length
    too_large = TooLarge(None if max_bytes is None else f"The body is larger than {max_bytes - 1} bytes.")
    if max_bytes is not None and (request.content_length or 0) >= max_bytes:
        raise too_large
    content = _read()
    if max_bytes is not None and len(content) >= max_bytes:
        raise too_large
    return strict_json.parse(content)


def _read() -> bytes:
    """Return the bytes of the body. Raises BadRequest for wrong framing, whatever exception the server has for it."""
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
