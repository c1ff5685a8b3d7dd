"""The return value of a view: a body, status and headers, and whether to cache or repeat it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


@dataclass(frozen=True)
class Answer:
    """``body`` is bytes, or a value that the operation's schema renders, or None.

    ``status`` is the operation's own unless set. ``is_cacheable`` answers stay right until something in the operation's
    databases changes. ``is_retryable`` answers are not stored for repeated requests, which run again.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cacheable: bool = False
    is_retryable: bool = False

    @property
    def tag(self) -> str | None:
        """The entity tag without quotes, if the answer has one."""
        quoted = self.headers.get("ETag")
        return None if quoted is None else quoted.strip('"')


class Response(flask.Response):
    """A response of Flask whose body has a type only if one is set."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:  # noqa: ARG002
        """Return the headers unchanged: an answer declares its length, and its links are URIs already."""
        return self.headers


def to_response(answer: Answer, extra_headers: Mapping[str, str] | None = None) -> Response:
    """Return a rendered answer as Flask sends it, with further headers."""
    return Response([answer.body], answer.status, {**answer.headers, **(extra_headers or {})})


def json_line(value: object) -> bytes:
    """Return ``value`` as compact JSON in UTF-8. It ends with a line end, for people who read it on a terminal."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
