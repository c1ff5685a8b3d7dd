"""Probes: whether the process is alive, and whether it can do its work; no key is needed."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import Schema, fields

from app.errors import Unavailable
from app.http.answers import NO_STORE, Answer
from app.http.operations import Routes
from app.services import Services

routes = Routes("health", "Probes for operators.")
blueprint = routes.blueprint


class HealthSchema(Schema):
    """The answer of a healthy process."""

    EXAMPLES: ClassVar[list[dict[str, Any]]] = [{"status": "ok"}]

    status = fields.Constant(
        "ok", required=True, metadata={"type": "string", "enum": ["ok"], "description": "Always ok."}
    )


@routes.operation("GET", "/livez", answer=HealthSchema(), headers=NO_STORE)
def livez() -> Answer:
    """Report whether the process answers"""
    return Answer({}, headers=NO_STORE)


@routes.operation("GET", "/readyz", answer=HealthSchema(), headers=NO_STORE, also=(503,))
def readyz(services: Services) -> Answer:
    """Report whether the service can do its work

    The database answers, accepts writes, and holds the views and validators of this version; a 503 names the
    failed check.
    """
    problems = services.readiness.problems()
    if problems:
        raise Unavailable("Not ready: " + "; ".join(problems) + ".")
    return Answer({}, headers=NO_STORE)
