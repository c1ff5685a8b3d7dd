"""Creations under reserved ids, for clients that work offline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app import Application
from app.couch.connection import Connection
from app.domain import reservations
from app.domain.access import SCOPES
from app.domain.items import Items
from app.errors import Unavailable
from app.services import Services
from app.settings import Settings
from app.store import Database
from couchapp import feed_identity
from couchapp.databases import Databases
from tests.api.conftest import Answer, Caller
from tests.api.offline import current, outcomes, send

NAMES = {"documents": "title", "projects": "name"}
every_kind = pytest.mark.parametrize("kind", NAMES)


def reserve(caller: Caller, count: int = 1, kind: str = "documents", **headers: str) -> Answer:
    """Reserve ids."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return caller.request("POST", f"/{kind}/reservations", json={"count": count}, headers=named)


def create(public_id: int, **value: Any) -> dict[str, Any]:
    """Return an operation that creates an item under an id."""
    return {"op": "create", "id": public_id, "value": value}


@every_kind
def test_items_are_created_under_reserved_ids(ada: Caller, kind: str) -> None:
    answer = reserve(ada, 3, kind)
    assert (answer.status_code, set(answer.json)) == (201, {"ids", "reservation", "expires_at"})
    assert answer.headers["Cache-Control"] == "no-store"
    ids, name = answer.json["ids"], NAMES[kind]
    assert ids == sorted(set(ids))
    values = [{name: str(public_id)} for public_id in ids]
    operations = [create(public_id, **value) for public_id, value in zip(ids, values, strict=True)]
    results = send(ada, *operations, kind=kind, reservation=answer.json["reservation"])
    assert [(outcome["status"], outcome["id"]) for outcome in results] == [(201, public_id) for public_id in ids]
    for public_id, value, outcome in zip(ids, values, results, strict=True):
        assert current(ada, f"/{kind}/{public_id}") == {"etag": outcome["etag"], "value": {"id": public_id, **value}}


@every_kind
def test_reserved_ids_are_given_to_nobody_else(ada: Caller, kind: str) -> None:
    first, second = (reserve(ada, 5, kind).json["ids"] for _ in range(2))
    created = ada.post(f"/{kind}", {NAMES[kind]: "Another"}).json["id"]
    assert len({*first, *second, created}) == 11


@pytest.mark.parametrize("count", [0, -1, 1001, "1", 1.0, True, None])
def test_a_reservation_has_one_to_a_thousand_ids(ada: Caller, count: object) -> None:
    answer = ada.post("/documents/reservations", {"count": count})
    assert (answer.status_code, answer.json["errors"][0]["location"]) == (400, "body.count")


def test_a_thousand_ids_are_reserved_at_once(ada: Caller) -> None:
    answer = reserve(ada, 1000)
    assert len(set(answer.json["ids"])) == 1000
    assert len(answer.json["reservation"]) <= 2048


def test_a_repeated_creation_is_a_success_again(ada: Caller) -> None:
    reserved = reserve(ada, 2).json
    operations = [create(public_id, title="Offline") for public_id in reserved["ids"]]
    first = send(ada, *operations, reservation=reserved["reservation"])
    assert first == send(ada, *operations, reservation=reserved["reservation"])
    both = send(ada, *operations, *operations, reservation=reserved["reservation"])
    assert both == [*first, *first]


def test_a_failed_look_at_a_taken_id_leaves_other_outcomes_as_they_are(
    ada: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Unavailable

    reserved = reserve(ada, 2).json
    operations = [create(public_id, title="Offline") for public_id in reserved["ids"]]
    send(ada, operations[0], reservation=reserved["reservation"])
    with monkeypatch.context() as patched:
        patched.setattr(Items, "find_each", fail)
        results = send(ada, *operations, reservation=reserved["reservation"])
    assert [outcome["status"] for outcome in results] == [503, 201]
    again = send(ada, *operations, reservation=reserved["reservation"])
    assert [outcome["status"] for outcome in again] == [201, 201]
    assert again[1] == results[1]


def test_an_id_that_holds_another_value_is_a_conflict_with_the_current_item(ada: Caller) -> None:
    reserved = reserve(ada).json
    [public_id] = reserved["ids"]
    send(ada, create(public_id, title="First"), reservation=reserved["reservation"])
    [outcome] = send(ada, create(public_id, title="Second"), reservation=reserved["reservation"])
    assert (outcome["status"], outcome["error"], outcome["id"]) == (409, "conflict", public_id)
    assert outcome["current"] == current(ada, f"/documents/{public_id}")
    assert outcome["current"]["value"]["title"] == "First"


def test_a_deleted_id_stays_deleted(ada: Caller, services: Services) -> None:
    reserved = reserve(ada).json
    [public_id] = reserved["ids"]
    operation = create(public_id, title="Offline")
    send(ada, operation, {"op": "delete", "id": public_id}, reservation=reserved["reservation"])
    tombstone = services.documents.items.find_deleted([public_id])[public_id]
    [outcome] = send(ada, operation, reservation=reserved["reservation"])
    assert (outcome["status"], outcome["error"]) == (409, "conflict")
    assert outcome["current"] == {"etag": f'"{tombstone.revision}"', "deleted": True}
    assert services.documents.items.find_deleted([public_id])[public_id] == tombstone


@pytest.mark.parametrize("has_moved", [True, False])
def test_a_creation_can_be_repeated_after_its_project_is_gone(ada: Caller, services: Services, has_moved: bool) -> None:
    reserved, project_id = reserve(ada).json, ada.new_project()["id"]
    [public_id] = reserved["ids"]
    operation = create(public_id, title="Offline", project_id=project_id)
    [first] = send(ada, operation, reservation=reserved["reservation"])
    if has_moved:
        ada.request("PATCH", f"/documents/{public_id}", json={"project_id": None})
    # Replication can delete a project that holds documents.
    projects = services.store["projects"]
    stored = projects.get(services.projects.items.resource_type.doc_id(project_id))
    assert stored
    projects.write_many([{"_id": stored["_id"], "_rev": stored["_rev"], "_deleted": True}])
    [again] = send(ada, operation, reservation=reserved["reservation"])
    if has_moved:
        assert (again["status"], again["current"]) == (409, current(ada, f"/documents/{public_id}"))
    else:
        assert again == first


def test_a_new_document_can_be_changed_in_the_same_batch(ada: Caller) -> None:
    reserved = reserve(ada).json
    [public_id] = reserved["ids"]
    results = send(
        ada,
        {"op": "patch", "id": public_id, "value": {"title": "Too early"}},
        create(public_id, title="First"),
        {"op": "patch", "id": public_id, "value": {"title": "Second"}},
        {"op": "create", "value": {"title": "With a new id"}},
        reservation=reserved["reservation"],
    )
    assert [outcome["status"] for outcome in results] == [404, 201, 200, 201]
    assert ada.get(f"/documents/{public_id}").json["title"] == "Second"


def test_an_id_outside_the_reservation_is_forbidden(ada: Caller) -> None:
    first, second = reserve(ada).json, reserve(ada).json
    operations = [create(second["ids"][0], title="x"), create(10**12, title="x"), create(first["ids"][0], title="x")]
    results = send(ada, *operations, reservation=first["reservation"], return_="current")
    assert [outcome["status"] for outcome in results] == [403, 403, 201]
    assert results[0]["reason"] == "This id is not in the reservation."


def test_a_reservation_of_others_is_forbidden(ada: Caller, caller: Callable[..., Caller]) -> None:
    reserved, projects = reserve(ada).json, reserve(ada, kind="projects").json
    operation = create(reserved["ids"][0], title="x")
    for who, text in [
        (caller(), reserved["reservation"]),
        (ada, projects["reservation"]),
        (ada, reserved["reservation"][:-2]),
        (ada, "x"),
    ]:
        [outcome] = send(who, operation, reservation=text)
        assert (outcome["status"], outcome["error"]) == (403, "forbidden")
        assert outcome["reason"] == "The reservation is not valid for this key and this installation."


def test_an_expired_reservation_is_forbidden(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservations, "VALIDITY", timedelta(seconds=-1))
    reserved = reserve(ada).json
    [outcome] = send(ada, create(reserved["ids"][0], title="x"), reservation=reserved["reservation"])
    assert (outcome["status"], outcome["reason"]) == (403, "The reservation has expired.")


def test_a_restore_ends_reservations(ada: Caller, settings: Settings) -> None:
    reserved = reserve(ada).json
    connection = Connection(settings.couchdb_url, timeout=30)
    feed_identity.renew(Databases(connection, settings.prefix), "meta")
    connection.close()
    [outcome] = send(ada, create(reserved["ids"][0], title="x"), reservation=reserved["reservation"])
    assert outcome["status"] == 403


def test_an_id_without_a_reservation_is_refused(ada: Caller) -> None:
    [outcome] = send(ada, create(5, title="x"))
    assert (outcome["status"], outcome["reason"]) == (400, "id: Not allowed for create without a reservation.")
    answer = ada.post("/documents/batch", {"operations": [create(5, title="x")], "reservation": "x" * 2049})
    assert (answer.status_code, answer.json["errors"][0]["location"]) == (400, "body.reservation")


def test_a_repeated_reservation_has_the_same_ids(ada: Caller) -> None:
    first, second = (reserve(ada, 3, Idempotency_Key="a-reservation") for _ in range(2))
    assert first.data == second.data
    assert second.headers["Idempotency-Replayed"] == "true"


def test_a_crashed_batch_recognises_its_reserved_creations(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = reserve(ada).json
    [public_id] = reserved["ids"]
    body = {"operations": [create(public_id, title="Once")], "reservation": reserved["reservation"]}
    failures = [RuntimeError("the worker dies")]
    items = type(ada.app.services.documents.items)
    update_many = items.update_many

    def dying(*arguments: Any) -> Any:
        results = update_many(*arguments)
        if failures:
            raise failures.pop()
        return results

    monkeypatch.setattr(items, "update_many", dying)
    headers = {"Idempotency-Key": "reserved-creations"}
    assert ada.request("POST", "/documents/batch", json=body, headers=headers).status_code == 500
    [outcome] = outcomes(ada.request("POST", "/documents/batch", json=body, headers=headers))
    assert (outcome["status"], outcome["id"]) == (201, public_id)


@every_kind
def test_only_writers_reserve(caller: Callable[..., Caller], kind: str) -> None:
    assert reserve(caller(*(scope for scope in SCOPES if scope != f"{kind}:write")), kind=kind).status_code == 403


@pytest.mark.parametrize("mode", ["forbid", "hide"])
def test_a_limited_key_creates_within_its_projects(
    ada: Caller, app: Application, services: Services, mode: str
) -> None:
    own, foreign = (ada.new_project(name)["id"] for name in ("Own", "Foreign"))
    _, text = services.keys.create("limited", SCOPES, out_of_scope=mode, projects=[own])
    eve = Caller(app, text)
    reserved = reserve(eve, 3).json
    first, second, third = reserved["ids"]
    operations = [
        create(first, title="Own", project_id=own),
        create(second, title="Foreign", project_id=foreign),
        create(third, title="None"),
        {"op": "patch", "id": first, "value": {"title": "Patched"}},
    ]
    results = send(eve, *operations, reservation=reserved["reservation"])
    assert [outcome["status"] for outcome in results] == [201, 400 if mode == "hide" else 403, 403, 200]
    # Another has moved it out of reach since.
    ada.request("PATCH", f"/documents/{first}", json={"project_id": foreign})
    [outcome] = send(eve, operations[0], reservation=reserved["reservation"])
    assert (outcome["status"], "current" in outcome) == (409, False)


def test_a_key_that_can_create_nothing_reserves_nothing(ada: Caller, app: Application, services: Services) -> None:
    document, project = ada.new_document()["id"], ada.new_project()["id"]
    limited: list[tuple[str, dict[str, Any]]] = [
        ("documents", {"documents": [document]}),
        ("projects", {"projects": [project]}),
    ]
    for kind, limits in limited:
        _, text = services.keys.create("limited", SCOPES, **limits)
        assert reserve(Caller(app, text), kind=kind).status_code == 403


def test_regions_reserve_different_ids(make_app: Callable[..., Application], ada: Caller) -> None:
    callers = [replace(ada, app=make_app(region=region, regions=2)) for region in range(2)]
    first, second = (set(reserve(each, 200).json["ids"]) for each in callers)
    assert len(first | second) == 400


def test_a_thousand_repeated_creations_take_few_requests(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = reserve(ada, 1000).json
    operations = [create(public_id, title="Once") for public_id in reserved["ids"]]
    first = send(ada, *operations, reservation=reserved["reservation"])
    reads: list[int] = []
    get_many = Database.get_many

    def counted(database: Database, doc_ids: Any, **options: Any) -> Any:
        if database.name.endswith("-documents"):
            reads.append(len(doc_ids))
        return get_many(database, doc_ids, **options)

    monkeypatch.setattr(Database, "get_many", counted)
    assert send(ada, *operations, reservation=reserved["reservation"]) == first
    assert sum(reads) == 1000
    assert len(reads) <= 4
