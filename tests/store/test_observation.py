"""Requests to CouchDB have a kind and an outcome, each of few, for the metrics."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from app.couch.connection import AnswerLost, Cancelled, Connection, DatabaseError, Refused, Unreachable
from app.errors import ServiceError
from app.store.exchange import Exchange
from app.store.observation import KINDS, OUTCOMES, kind_of, outcome_of
from tests.couch.misbehaving_server import Behaviour, MisbehavingServer, answer, reset

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(
    ("method", "path", "params", "kind"),
    [
        ("GET", (), {}, "info"),
        ("GET", ("document:0000000000000001",), {}, "get"),
        ("PUT", ("document:0000000000000001",), {}, "put"),
        ("GET", ("_all_docs",), {}, "all_docs"),
        ("POST", ("_all_docs",), {}, "all_docs"),
        ("POST", ("_bulk_docs",), {}, "bulk_docs"),
        ("POST", ("_bulk_get",), {}, "bulk_get"),
        ("GET", ("_design", "listing", "_view", "by_id"), {"limit": 1}, "view"),
        ("GET", ("_changes",), {"since": "1-x"}, "changes"),
        ("GET", ("_changes",), {"since": "1-x", "feed": "longpoll"}, "feed"),
        ("PUT", ("_local", "readiness"), {}, "local"),
        ("POST", ("_unknown",), {}, "other"),
    ],
)
def test_a_request_has_a_kind(method: str, path: tuple[str, ...], params: dict[str, Any], kind: str) -> None:
    assert kind_of(method, path, params) == kind
    assert kind in KINDS


def timed_out() -> AnswerLost:
    """Return the failure of a request that took too long."""
    failure = AnswerLost("no complete answer")
    failure.__cause__ = TimeoutError()
    return failure


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (Refused(404, "not_found", "missing"), "absent"),
        (Refused(409, "conflict", "Document update conflict."), "conflict"),
        (Refused(401, "unauthorized", "no"), "refused"),
        (Refused(500, "error", "disk full"), "unavailable"),
        (Unreachable("no connection"), "unavailable"),
        (AnswerLost("not JSON"), "lost"),
        (timed_out(), "timeout"),
        (Cancelled("not needed"), "cancelled"),
    ],
)
def test_a_failure_has_an_outcome(failure: DatabaseError, outcome: str) -> None:
    assert outcome_of(failure) == outcome
    assert outcome in OUTCOMES


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (answer(201, {"rev": "1-a"}), "ok"),
        (answer(202, {"rev": "1-a"}), "lost"),
        (answer(409, {"error": "conflict", "reason": "x"}), "conflict"),
        (answer(500, {"error": "x", "reason": "x"}), "unavailable"),
        (reset, "lost"),
    ],
)
def test_each_request_is_observed_once(behaviour: Behaviour, outcome: str) -> None:
    observed: list[tuple[str, str]] = []
    with MisbehavingServer(behaviour) as server:
        connection = Connection(server.url, timeout=30)
        exchange = Exchange(connection, "db", lambda kind, outcome, _: observed.append((kind, outcome)))
        with suppress(ServiceError):
            exchange.send("PUT", "a", body={})
        connection.close()
    assert observed == [("put", outcome)]
