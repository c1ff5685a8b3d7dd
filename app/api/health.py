"""Whether the process lives and whether it can do its work, for those who watch it; no key is needed."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields

from app.errors import Unavailable
from app.http.blueprint import Blueprint
from app.wiring import Services

Answer = tuple[dict[str, str], dict[str, str]]

NEVER_KEPT = {"Cache-Control": "no-store"}


class HealthSchema(Schema):
    """The answer of a process that is well."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"status": "ok"}]

    status = fields.Constant("ok", required=True, metadata={"type": "string", "enum": ["ok"]})


def blueprint(services: Services) -> Blueprint:
    """Return the two probes."""
    routes = Blueprint("health", "Probes for whoever runs the service.")

    @routes.operation("GET", "/livez", answer=HealthSchema(), headers=NEVER_KEPT)
    def livez() -> Answer:
        """Tell whether the process answers"""
        return {}, NEVER_KEPT

    @routes.operation("GET", "/readyz", answer=HealthSchema(), headers=NEVER_KEPT, also=(503,))
    def readyz() -> Answer:
        """Tell whether the service can do its work

        The database answers, can be written, and holds the views and validators of this version; a 503 says which
        is not so.
        """
        problems = services.readiness.problems()
        if problems:
            raise Unavailable("Not ready: " + "; ".join(problems) + ".")
        return {}, NEVER_KEPT

    return routes
