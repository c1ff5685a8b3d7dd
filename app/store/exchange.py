"""One request to one database: within the deadline, under the request's id, and every failure one of two."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from app.errors import Conflict, Unavailable
from app.request_context import current_request_id, remaining
from couchapp.connection import Answer, Connection, DatabaseError, Refused

log = logging.getLogger("dreamscript.store")

# No single request to CouchDB waits longer, so that a second can follow within the deadline (FACTS 1.7).
TIMEOUT = 3.0


class Exchange:
    """Sends requests to the database ``name``."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection, self.name = connection, name

    def send(
        self,
        method: str,
        *path: str,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        read: bool = False,
        absent: bool = False,
    ) -> Answer | None:
        """Return the answer; with ``absent``, None when CouchDB says that the document is not there.

        Raises Conflict for a 409, and Unavailable for everything else that is not an answer: an outcome that is not
        known, a database that is missing, and credentials that do not suffice are all beyond the client.
        """
        request_id = current_request_id()
        try:
            return self._connection.request(
                method,
                self.name,
                *path,
                params=params,
                body=body,
                read=read,
                headers={"X-Couch-Request-ID": request_id} if request_id else None,
                timeout=self._timeout(),
            )
        except Refused as refusal:
            if absent and refusal.status == 404 and refusal.reason in ("missing", "deleted"):
                return None
            if refusal.status == 409:
                raise Conflict from refusal
            raise self._unavailable(method, path, refusal) from refusal
        except DatabaseError as failure:
            raise self._unavailable(method, path, failure) from failure

    def _timeout(self) -> float:
        left = remaining()
        if left is None:
            return TIMEOUT
        if left <= 0:
            raise Unavailable("The request could not be answered in time; try again later.")
        return min(TIMEOUT, left)

    def _unavailable(self, method: str, path: tuple[str, ...], failure: DatabaseError) -> Unavailable:
        facts = {"database": self.name, "method": method, "path": "/".join(path), "request_id": current_request_id()}
        log.error("the database gave no usable answer: %s", failure, extra=facts)
        return Unavailable()
