"""Whether the process lives and whether it can do its work, for those who watch it; no key is needed."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.domain.services import Services
from app.errors import Unavailable
from app.http.blueprint import Blueprint


class HealthSchema(Schema):
    """The answer of a process that is well."""

    status = fields.Constant("ok", metadata={"type": "string"})


def blueprint(services: Services) -> Blueprint:
    """Return the two probes."""
    routes = Blueprint("health", "Probes for whoever runs the service.")

    @routes.operation("GET", "/livez", answer=HealthSchema())
    def livez() -> dict[str, str]:
        """Tell whether the process answers"""
        return {}

    @routes.operation("GET", "/readyz", answer=HealthSchema(), also=(503,))
    def readyz() -> dict[str, str]:
        """Tell whether the database answers, can be written, and holds the views and validators of this version"""
        problems = services.readiness.problems()
        if problems:
            raise Unavailable("Not ready: " + "; ".join(problems) + ".")
        return {}

    return routes
