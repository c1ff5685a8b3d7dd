"""The failures that a caller is told of: each is a code of the contract and a sentence for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request: ``location`` is a path such as ``body.title`` or ``query.limit``."""

    location: str
    reason: str


class ServiceError(Exception):
    """A failure with a public ``code`` and ``reason``; nothing else of it ever reaches a client."""

    code = "internal_server_error"
    reason = "The service failed; the failure has been logged under this request's id."

    def __init__(
        self,
        reason: str | None = None,
        *,
        faults: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.reason = reason or type(self).reason
        self.faults = faults
        self.headers = dict(headers or {})
        super().__init__(self.reason)


class BadRequest(ServiceError):
    """The request makes no sense as HTTP."""

    code = "bad_request"
    reason = "The request could not be understood."


class InvalidJSON(ServiceError):
    """The body is not strict JSON."""

    code = "invalid_json"
    reason = "The body is not valid JSON."


class ValidationFailed(ServiceError):
    """The request is well formed and breaks a rule; ``faults`` say which and where."""

    code = "validation_failed"
    reason = "The request breaks the rules listed in errors."


class InvalidCursor(ServiceError):
    """A cursor was altered, belongs to another principal or route, or came with other filters."""

    code = "invalid_cursor"
    reason = "The cursor was not made by this service for this key, this path and these filters."


class Unauthorized(ServiceError):
    """No key, or none that is known and alive: one body for all of them."""

    code = "unauthorized"
    reason = "A valid key is needed in the X-API-Key header."


class Forbidden(ServiceError):
    """The key is known and may not do this."""

    code = "forbidden"
    reason = "This key does not allow that."


class NotFound(ServiceError):
    """There is nothing at this path."""

    code = "not_found"
    reason = "Nothing was found here."


class MethodNotAllowed(ServiceError):
    """The path exists and does not answer to this method."""

    code = "method_not_allowed"
    reason = "This method is not allowed here."


class NotAcceptable(ServiceError):
    """The Accept header admits no representation that there is."""

    code = "not_acceptable"
    reason = "Only application/json can be answered here; the Accept header does not admit it."


class Conflict(ServiceError):
    """Another write to the same document came first."""

    code = "conflict"
    reason = "Another write came first; read the document again and retry."


class ProjectNotEmpty(ServiceError):
    """A project that still holds documents cannot be deleted."""

    code = "project_not_empty"
    reason = "The project still holds documents; move or delete them first."


class OutcomeUnknown(ServiceError):
    """It cannot be determined any more whether an earlier run of a repeated request was carried out."""

    code = "outcome_unknown"
    reason = (
        "It cannot be determined whether the first request with this Idempotency-Key was carried out. "
        "Fetch the resource to find out."
    )


class IdempotencyInProgress(ServiceError):
    """The first request with this Idempotency-Key is still being carried out."""

    code = "idempotency_in_progress"
    reason = "The first request with this Idempotency-Key is not finished; try again in a moment."


class IdempotencyMismatch(ServiceError):
    """An Idempotency-Key came with another request before."""

    code = "idempotency_mismatch"
    reason = "This Idempotency-Key was sent with another request before; take a new one."


class PreconditionFailed(ServiceError):
    """If-Match names no current tag; ``headers`` may hold the one that is."""

    code = "precondition_failed"
    reason = "The current tag, which this answer tells, is not one that was asked for. Read again and retry."


class TooLarge(ServiceError):
    """The body is over the limit."""

    code = "too_large"
    reason = "The body is too large."


class BadContentType(ServiceError):
    """The body is declared as something other than JSON."""

    code = "bad_content_type"
    reason = "The Content-Type must be application/json."


class TooManyRequests(ServiceError):
    """The principal, or the address that failed to authenticate, has used up what its policy grants."""

    code = "too_many_requests"
    reason = "Too many requests came in too short a time; Retry-After says when to go on."


class Unavailable(ServiceError):
    """The database gave no usable answer in time."""

    code = "unavailable"
    reason = "The database is not answering; try again later."


class Unconfirmed(Unavailable):
    """A write was sent, and whether it is stored could not be found out in time."""

    reason = (
        "Whether the write was stored could not be found out in time. Read before you send it again, "
        "or send it again with the same Idempotency-Key."
    )


# Every code that a client can meet, in the order in which the contract lists them.
ERRORS: tuple[type[ServiceError], ...] = (
    BadRequest,
    InvalidJSON,
    ValidationFailed,
    InvalidCursor,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    ProjectNotEmpty,
    OutcomeUnknown,
    IdempotencyInProgress,
    PreconditionFailed,
    TooLarge,
    BadContentType,
    IdempotencyMismatch,
    TooManyRequests,
    ServiceError,
    Unavailable,
)
