"""The failures that callers see: each has a code and an HTTP status of the contract, and a sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# RFC 9110, section 11.6.1.
CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="dreamscript", header="X-API-Key"'}
# RFC 9110, section 10.2.3, and RFC 6585, section 4.
RETRY_AFTER = {"Retry-After": "1"}


@dataclass(frozen=True)
class Fault:
    """One fault of a request. ``location`` is a path such as ``body.title`` or ``query.limit``."""

    location: str
    reason: str


class ServiceError(Exception):
    """A failure with a public ``code``, ``status`` and ``reason``; a client never sees anything else of it.

    ``default_headers`` are sent with each response that reports it; ``headers`` extend or replace them.
    """

    code, status = "internal_server_error", 500
    default_headers: Mapping[str, str] = {}
    reason = "The service failed. The failure is in the log under this request's id."

    def __init__(
        self,
        reason: str | None = None,
        *,
        faults: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.reason = reason or type(self).reason
        self.faults = faults
        self.headers = {**self.default_headers, **(headers or {})}
        super().__init__(self.reason)


class BadRequest(ServiceError):
    """The request is not valid HTTP."""

    code, status = "bad_request", 400
    reason = "The request could not be understood."


class InvalidJSON(ServiceError):
    """The body is not strict JSON."""

    code, status = "invalid_json", 400
    reason = "The body is not valid JSON."


class ValidationFailed(ServiceError):
    """The request is well formed and breaks rules; ``faults`` names each rule and its location."""

    code, status = "validation_failed", 400
    reason = "The request breaks the rules that errors lists."


class InvalidCursor(ServiceError):
    """A cursor was altered, belongs to another principal or route, or came with other filters."""

    code, status = "invalid_cursor", 400
    reason = "The cursor is not valid for this key, this path and these filters."


class Unauthorized(ServiceError):
    """A missing, unknown, expired or revoked key: all have the same answer."""

    code, status = "unauthorized", 401
    default_headers = CHALLENGE
    reason = "A valid key is needed, in X-API-Key or as Authorization: Bearer."


class Forbidden(ServiceError):
    """The key is valid and does not allow this."""

    code, status = "forbidden", 403
    reason = "This key does not allow this request."


class NotFound(ServiceError):
    """There is nothing at this path."""

    code, status = "not_found", 404
    reason = "Nothing was found here."


class MethodNotAllowed(ServiceError):
    """The path exists and does not support this method."""

    code, status = "method_not_allowed", 405
    reason = "This method is not allowed here."


class NotAcceptable(ServiceError):
    """The Accept header admits no available representation."""

    code, status = "not_acceptable", 406
    reason = "Only application/json is available here; the Accept header does not admit it."


class Conflict(ServiceError):
    """Another write to the same item came first."""

    code, status = "conflict", 409
    reason = "Another write came first. Fetch the resource again and retry."


class ProjectNotEmpty(ServiceError):
    """A project that still holds documents cannot be deleted."""

    code, status = "project_not_empty", 409
    reason = "The project still holds documents. Move or delete them first."


class UnresolvedConflict(ServiceError):
    """An item has an open conflict, and the write names no version that it replaces."""

    code, status = "unresolved_conflict", 409
    reason = (
        "The item has an open conflict, which GET …/conflicts shows. Resolve it with POST …/resolve, "
        "or send the item's ETag in If-Match."
    )


class Orphan(ServiceError):
    """A version belongs to a project that does not exist."""

    code, status = "orphan", 409
    reason = "The project of this version does not exist. Choose another one, or none."


class OutcomeUnknown(ServiceError):
    """It cannot be determined any more whether an earlier run of a repeated request was carried out."""

    code, status = "outcome_unknown", 409
    reason = (
        "It cannot be determined whether the first request with this Idempotency-Key was carried out. "
        "Fetch the resource to find out."
    )


class IdempotencyInProgress(ServiceError):
    """The first request with this Idempotency-Key is still running."""

    code, status = "idempotency_in_progress", 409
    default_headers = RETRY_AFTER
    reason = "The first request with this Idempotency-Key is still running. Retry in a moment."


class IdempotencyMismatch(ServiceError):
    """The Idempotency-Key was used for a different request."""

    code, status = "idempotency_mismatch", 422
    reason = "This Idempotency-Key was used for a different request. Use a new one."


class Gone(ServiceError):
    """A client that follows the changes cannot continue from its cursor."""

    code, status = "gone", 410
    reason = (
        "The changes cannot be continued from this cursor. Start again without since, "
        "and drop the items that the new pass does not show."
    )


class PreconditionFailed(ServiceError):
    """If-Match does not name the current tag; ``headers`` may hold it."""

    code, status = "precondition_failed", 412
    reason = "The resource has changed: its current ETag is in this response. Fetch it again and retry."


class TooLarge(ServiceError):
    """The body is over the limit."""

    code, status = "too_large", 413
    reason = "The body is too large."


class BadContentType(ServiceError):
    """The body is declared as something other than JSON."""

    code, status = "bad_content_type", 415
    reason = "The Content-Type must be application/json."


class TooManyRequests(ServiceError):
    """The principal, or the address of failed authentications, is over its rate limit."""

    code, status = "too_many_requests", 429
    default_headers = RETRY_AFTER
    reason = "Too many requests. Wait for the seconds in Retry-After."


class Unavailable(ServiceError):
    """The database gave no usable answer in time."""

    code, status = "unavailable", 503
    default_headers = RETRY_AFTER
    reason = "The database is not answering. Try again later."


class Unconfirmed(Unavailable):
    """A write was sent, and its outcome is unknown."""

    reason = (
        "The outcome of the write is unknown. Fetch the resource before you repeat the write, "
        "or repeat it with the same Idempotency-Key."
    )


# Every code that a client can meet.
ERRORS: tuple[type[ServiceError], ...] = (*ServiceError.__subclasses__(), ServiceError)
