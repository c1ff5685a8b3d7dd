"""Reads requests: queries and bodies into schemas, and conditions; reports the place of every fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import marshmallow
from flask import request
from marshmallow import Schema
from werkzeug.exceptions import ClientDisconnected, HTTPException
from werkzeug.sansio.utils import get_content_length
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_input_stream

from app.errors import (
    BadContentType,
    BadRequest,
    Fault,
    NotAcceptable,
    PreconditionFailed,
    TooLarge,
    ValidationFailed,
)
from app.http import strict_json
from app.http.accept import quality
from app.http.answers import JSON, tags, tags_or_bare
from app.store.items import Condition

# A patch may also be declared as plain JSON.
REQUEST_TYPES: dict[str, tuple[str, ...]] = {"PATCH": (JSON, "application/merge-patch+json")}
NO_UNMODIFIED_SINCE = (
    "If-Unmodified-Since cannot be promised, since a merge may leave Last-Modified as it was. "
    "Send the ETag of this response in If-Match."
)
NO_ITEM = (
    "This request writes to no single item whose ETag could be compared: send it without If-Match and "
    "If-Unmodified-Since. An operation of a batch takes if_match."
)
INCOMPLETE = "The body could not be read to its end."
# A body can hold a million faults: at most this many are reported, and no others are looked for.
MAX_FAULTS = 100
MORE = "There are more faults than these."
REVISION = re.compile("[1-9][0-9]{0,15}-[0-9a-f]{32}")
# The query of an operation that takes none.
NO_PARAMETERS = Schema()


def load_query(schema: Schema) -> dict[str, Any]:
    """Return the query's parameters. Raises ValidationFailed, also for unknown and for repeated parameters."""
    if not (schema.load_fields or request.query_string):
        return {}
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise _refusal((Fault(_below("query", name), "Given more than once.") for name in repeated), "query")
    return load(schema, request.args.to_dict(), "query")


def load_body(schema: Schema, max_bytes: int) -> dict[str, Any]:
    """Return the members of a strict JSON body.

    Raises BadContentType, BadRequest, TooLarge, InvalidJSON and ValidationFailed, and Unavailable as ``parse`` does.
    """
    check_declared(request)
    return load(schema, strict_json.parse(_read(max_bytes)), "body")


def load_no_body(max_bytes: int) -> None:
    """Raise as ``load_body`` unless the body is absent or an empty object, so that nothing is ignored silently."""
    if request.content_length:
        check_declared(request)
    content = _read(max_bytes)
    if content:
        check_declared(request)
        load(NO_PARAMETERS, strict_json.parse(content), "body")


def load(schema: Schema, value: object, location: str) -> dict[str, Any]:
    """Load a value at ``location`` (empty for the whole) with ``schema``. Raises ValidationFailed."""
    try:
        loaded: dict[str, Any] = schema.load(_without_surplus(value, schema), unknown=marshmallow.RAISE)
    except marshmallow.ValidationError as error:
        raise _refusal(_faults(error.messages, location), location) from error
    return loaded


def _without_surplus(value: Any, schema: Schema) -> Any:
    """Return an object with only as many unknown members as are reported, since marshmallow looks at each."""
    known = schema.load_fields
    if not isinstance(value, dict) or len(value) <= len(known) + MAX_FAULTS:
        return value
    unknown = islice((name for name in value if name not in known), MAX_FAULTS + 1)
    return {name: value[name] for name in (*(known.keys() & value.keys()), *unknown)}


def _refusal(faults: Iterable[Fault], location: str) -> ValidationFailed:
    """Return the error that reports the first faults at ``location``, and whether there are more."""
    first = tuple(islice(faults, MAX_FAULTS + 1))
    reported = first if len(first) <= MAX_FAULTS else (*first[:MAX_FAULTS], Fault(location, MORE))
    return ValidationFailed(faults=reported)


def _faults(messages: Any, location: str) -> Iterator[Fault]:
    """Flatten marshmallow's nested messages; its name for a whole object, ``_schema``, adds nothing to the path."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults(inner, location if location and name == "_schema" else _below(location, str(name)))
    else:
        for message in messages:
            yield Fault(location, message)


def _below(location: str, name: str) -> str:
    return f"{location}.{name[:100]}".removeprefix(".")


def require_acceptable(*media_types: str) -> None:
    """Raise NotAcceptable unless the Accept header admits one of these. An absent or empty header admits any."""
    accept = request.headers.get("Accept")
    if not any(quality(accept, media_type) for media_type in media_types):
        raise NotAcceptable(f"Only {' or '.join(media_types)} is available here; the Accept header does not admit it.")


def check_declared(request: Request) -> None:
    """Raise BadContentType or BadRequest for a body that its headers do not declare as plain JSON."""
    environ = request.environ
    types = REQUEST_TYPES.get(environ["REQUEST_METHOD"], (JSON,))
    # Most requests name the type alone, which needs no parsing.
    if environ.get("CONTENT_TYPE") not in types:
        charset = request.mimetype_params.get("charset", "utf-8").lower()
        if request.mimetype not in types or charset not in ("utf-8", "utf8"):
            raise BadContentType(f"The Content-Type must be {' or '.join(types)}, in UTF-8.")
    if (environ.get("HTTP_CONTENT_ENCODING") or "identity").lower() != "identity":
        raise BadContentType("The body must not be encoded; send it without Content-Encoding.")
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").strip().lower() != "chunked":
        raise BadRequest("The only supported Transfer-Encoding is chunked.")


def _read(max_bytes: int) -> bytes:
    """Return the bytes of the body. Raises TooLarge, and BadRequest for a body that ends early."""
    environ = request.environ
    length = get_content_length(environ.get("CONTENT_LENGTH"), environ.get("HTTP_TRANSFER_ENCODING"))
    content = _read_all(length, max_bytes) if (length or 0) <= max_bytes else None
    if content is None or len(content) > max_bytes:
        raise TooLarge(f"The body is larger than {max_bytes} bytes.")
    return content


def _read_all(length: int | None, max_bytes: int) -> bytes:
    """Return the bytes of the body, at most one more than ``max_bytes``.

    Raises BadRequest for wrong framing, which each server reports differently.
    """
    try:
        content = get_input_stream(request.environ, max_content_length=max_bytes + 1).read()
    except Exception as error:
        if isinstance(error, HTTPException) and not isinstance(error, ClientDisconnected):
            raise
        raise BadRequest(INCOMPLETE) from error
    # A body that ends early is incomplete even where it happens to be JSON (RFC 9112, section 8).
    if length is not None and len(content) < length:
        raise BadRequest(INCOMPLETE)
    return content


def revision(text: str, location: str) -> str:
    """Return the revision that the tag at ``location`` names, with or without its quotes. Raises ValidationFailed."""
    tags = tags_or_bare(text)
    tag = next(iter(tags), "")
    if len(tags) != 1 or not REVISION.fullmatch(tag):
        raise ValidationFailed(faults=(Fault(location, "Not the tag of a version."),))
    return tag


def if_none_match() -> set[str]:
    """Return the tags in If-None-Match."""
    return tags(request.headers.get("If-None-Match", ""))


def bypass_cache() -> bool:
    """Return whether the client accepts nothing from a cache (RFC 9111, section 5.2.1)."""
    cache_control = request.cache_control
    return bool(cache_control.no_cache) or cache_control.max_age == 0


def condition() -> Condition:
    """Return the condition that the headers put on the revision that a write replaces or copies.

    If-Unmodified-Since is ignored beside If-Match (RFC 9110, section 13.1.4), and alone it is never met.
    """
    required, refused = request.headers.get("If-Match"), request.headers.get("If-None-Match")
    is_unsupported = required is None and "If-Unmodified-Since" in request.headers
    return Condition(
        frozenset() if is_unsupported else None if required is None else frozenset(tags(required)),
        frozenset(tags(refused or "")),
        NO_UNMODIFIED_SINCE if is_unsupported else None,
    )


def refuse_condition() -> None:
    """Raise PreconditionFailed for a condition of a request that writes to a collection.

    It must not be carried out as if there were no condition (RFC 9110, sections 13.1.1 and 13.1.4). `*` always holds,
    and If-None-Match does too, since the new item is none that the client could know.
    """
    tags_required = condition().tags
    if tags_required is not None and "*" not in tags_required:
        raise PreconditionFailed(NO_ITEM)
