"""Keys limited to projects and documents: visible items, answers for others, and creates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from app import Application
from app.domain.access import SCOPES
from app.services import Services
from app.store.database import Database, Revision
from tests.api.conftest import Answer, Caller

MODES = ("forbid", "hide")
ABSENT = 999_999_999


@dataclass(frozen=True)
class World:
    """Two projects with two documents each, one document without, and callers who reach the first project."""

    own: int
    foreign: int
    inside: list[int]
    outside: list[int]
    loose: int


@pytest.fixture(scope="module")
def world(ada: Caller) -> World:
    """The items of the tests."""
    own, foreign = (ada.new_project(name)["id"] for name in ("Own", "Foreign"))
    # In turns, so that their ids alternate.
    both = [ada.new_document(str(n), project_id=(own, foreign)[n % 2])["id"] for n in range(6)]
    return World(own, foreign, both[::2], both[1::2], ada.new_document("Loose")["id"])


Limited = Callable[..., Caller]


@pytest.fixture(scope="module")
def limited(app: Application, services: Services) -> Limited:
    """Make callers with all scopes and these limits."""

    def make(mode: str = "forbid", **limits: Any) -> Caller:
        _, text = services.keys.create("limited", SCOPES, out_of_scope=mode, **limits)
        return Caller(app, text)

    return make


def ids(answer: Answer) -> list[int]:
    """Return the ids on a page."""
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json]


@pytest.mark.parametrize("mode", MODES)
def test_a_project_brings_its_documents(world: World, limited: Limited, mode: str) -> None:
    key = limited(mode, projects=[world.own])
    assert ids(key.get("/documents")) == world.inside
    assert ids(key.get(f"/documents?project_id={world.own}")) == world.inside
    assert ids(key.get(f"/projects/{world.own}/documents")) == world.inside
    assert ids(key.get("/projects")) == [world.own]
    assert key.get(f"/projects/{world.own}").status_code == 200
    assert [key.get(f"/documents/{i}").status_code for i in world.inside] == [200] * 3


@pytest.mark.parametrize("mode", MODES)
def test_documents_come_alone(world: World, limited: Limited, mode: str) -> None:
    key = limited(mode, documents=[world.loose, world.outside[0], ABSENT])
    assert ids(key.get("/documents")) == [world.outside[0], world.loose]
    assert ids(key.get("/projects")) == []
    assert key.get(f"/documents/{world.loose}").status_code == 200
    assert key.get(f"/documents/{ABSENT}").status_code == 404


def test_both_limits_are_a_union_in_one_order(world: World, limited: Limited) -> None:
    key = limited(projects=[world.own], documents=[world.loose, world.outside[1], world.inside[0]])
    union = sorted([*world.inside, world.outside[1], world.loose])
    for limit in range(1, 7):
        assert [i["id"] for page in key.walk(f"/documents?limit={limit}") for i in page] == union
        assert [i["id"] for page in key.walk(f"/documents?limit={limit}&order=desc") for i in page] == union[::-1]


def test_an_empty_limit_reaches_nothing(world: World, limited: Limited) -> None:
    key = limited("hide", projects=[], documents=[])
    assert (ids(key.get("/documents")), ids(key.get("/projects"))) == ([], [])
    assert key.get(f"/documents/{world.loose}").status_code == 404


def test_a_list_of_ids_is_narrowed(world: World, limited: Limited) -> None:
    id_list = ",".join(map(str, [*world.inside, *world.outside, ABSENT]))
    for mode in MODES:
        key = limited(mode, projects=[world.own])
        assert ids(key.get(f"/documents?ids={id_list}")) == world.inside
        assert [i["id"] for page in key.walk(f"/documents?ids={id_list}&limit=1") for i in page] == world.inside
        assert ids(key.get(f"/projects?ids={world.own},{world.foreign}")) == [world.own]


def test_a_filter_by_a_hidden_project_keeps_the_documents_of_the_key(world: World, limited: Limited) -> None:
    key = limited("hide", documents=[world.outside[0], world.loose])
    assert ids(key.get(f"/documents?project_id={world.foreign}")) == [world.outside[0]]


def test_no_item_is_created_outside_the_limits(world: World, limited: Limited, ada: Caller) -> None:
    before = len(ada.get("/documents?limit=1000").json)
    for mode in MODES:
        key = limited(mode, projects=[world.own])
        absent, foreign = (key.post("/documents", {"title": "x", "project_id": i}) for i in (ABSENT, world.foreign))
        assert (absent.status_code, foreign.status_code) == {"forbid": (403, 403), "hide": (400, 400)}[mode]
        assert key.post("/documents", {"title": "x"}).status_code == 403
        assert key.post("/projects", {"name": "x"}).status_code == 403
    assert len(ada.get("/documents?limit=1000").json) == before


def test_a_limited_key_creates_documents_in_its_project(world: World, limited: Limited, ada: Caller) -> None:
    key = limited(projects=[world.foreign])
    made = key.new_document("Made", project_id=world.foreign)
    assert made["id"] in ids(key.get("/documents"))
    assert ada.get(f"/documents/{made['id']}").json == made


def test_pages_show_every_change(ada: Caller, limited: Limited, services: Services) -> None:
    """The rows of limited keys are remembered between requests; none of it may be old."""
    one, other = ada.new_project("One")["id"], ada.new_project("Other")["id"]
    key = limited(projects=[one, other])
    assert ids(key.get("/documents")) == []
    first = ada.new_document("First", project_id=one)["id"]
    page = key.get("/documents")
    assert ids(page) == [first]
    second = ada.new_document("Second", project_id=other)["id"]
    assert ids(key.get("/documents", if_none_match=page.headers["ETag"])) == [first, second]
    documents = services.store["documents"]
    stored = documents.get(f"document:{first:016d}")
    assert stored is not None
    moved = {name: value for name, value in stored.items() if name != "project_id"}
    documents.replace(moved)
    assert ids(key.get("/documents")) == [second]
    last = key.get("/documents")
    assert key.get("/documents", if_none_match=last.headers["ETag"]).status_code == 304
    for n in range(60):
        ada.new_document(str(n), project_id=one)
    assert len(ids(key.get("/documents?limit=1000"))) == 61


def test_a_key_shows_its_limits(ada: Caller, world: World) -> None:
    body: dict[str, Any] = {"name": "n", "scopes": ["documents:read"], "projects": [world.own], "documents": [3, 1, 3]}
    made = ada.post("/keys", {**body, "out_of_scope": "hide"}).json
    answer = ada.get(f"/keys/{made['id']}").json
    assert (answer["projects"], answer["documents"], answer["out_of_scope"]) == ([world.own], [1, 3], "hide")
    rotated = ada.post(f"/keys/{made['id']}/rotate", {}).json
    assert [rotated[name] for name in ("projects", "documents", "out_of_scope")] == [[world.own], [1, 3], "hide"]


@pytest.mark.parametrize(
    ("member", "value"),
    [("projects", "10"), ("projects", [0]), ("documents", [1.5]), ("documents", [None]), ("out_of_scope", "no")],
)
def test_an_unusable_limit_is_located(ada: Caller, member: str, value: object) -> None:
    answer = ada.post("/keys", {"name": "n", "scopes": ["documents:read"], member: value})
    assert answer.status_code == 400
    assert answer.json["errors"][0]["location"].startswith(f"body.{member}")


def test_a_limited_key_creates_no_key_with_wider_limits(world: World, limited: Limited, ada: Caller) -> None:
    key = limited(projects=[world.own], documents=[world.loose])
    body = {"name": "n", "scopes": ["documents:read"]}
    within: tuple[dict[str, list[int]], ...] = (
        {"projects": [world.own]},
        {"documents": [world.loose]},
        {"projects": []},
    )
    further: tuple[dict[str, list[int]], ...] = ({}, {"projects": [world.foreign]}, {"documents": [world.outside[0]]})
    assert [key.post("/keys", {**body, **limits}).status_code for limits in within] == [201] * 3
    assert [key.post("/keys", {**body, **limits}).status_code for limits in further] == [403] * 3
    wide = ada.post("/keys", body).json["id"]
    assert wide not in ids(key.get("/keys?limit=1000"))
    for method, path in (("GET", f"/keys/{wide}"), ("DELETE", f"/keys/{wide}"), ("POST", f"/keys/{wide}/rotate")):
        assert key.request(method, path, json={} if method == "POST" else None).status_code == 403
    assert ada.get(f"/keys/{wide}").json.get("revoked_at") is None


def test_a_setting_hides_for_keys_that_say_nothing(
    make_app: Callable[..., Application], services: Services, world: World
) -> None:
    _, text = services.keys.create("limited", SCOPES, projects=[world.own])
    key = Caller(make_app(out_of_scope="hide"), text)
    assert key.get(f"/documents/{world.loose}").status_code == 404


def test_a_limited_key_lists_its_keys_in_few_reads(
    world: World, limited: Limited, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of its page would reveal the number of other keys."""
    key = limited(projects=[world.own])
    for _ in range(10):
        services.keys.create("beyond", ["documents:read"])
    reads: list[int] = []
    ids = Database.ids

    def counted(*args: Any, **kwargs: Any) -> list[Revision]:
        reads.append(1)
        return ids(*args, **kwargs)

    monkeypatch.setattr(Database, "ids", counted)
    assert len(key.get("/keys?limit=1").json) == 1
    assert len(reads) == 1
