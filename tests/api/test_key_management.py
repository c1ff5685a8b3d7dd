"""Keys over HTTP: no more rights than their creator, shown once, rotated without a gap, revoked permanently."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from app import Application
from app.domain.resources import now, stamp
from app.services import Services
from tests.api.conftest import Answer, Caller


def make(ada: Caller, **fields: Any) -> dict[str, Any]:
    """Create a key as ``ada`` and return the answer."""
    answer = ada.post("/keys", {"name": "made", "scopes": ["documents:read"], **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


def test_a_key_is_shown_once_and_works(app: Application, ada: Caller) -> None:
    answer = ada.post("/keys", {"name": "made", "scopes": ["documents:read"]})
    made = answer.json
    assert re.fullmatch("ds_live_[0-9A-Za-z]{49}", made["key"])
    assert answer.headers["Location"].endswith(f"/keys/{made['id']}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert Caller(app, made["key"]).get("/documents").status_code == 200
    answer = ada.get(f"/keys/{made['id']}")
    assert answer.json == {name: value for name, value in made.items() if name != "key"}
    assert set(answer.json) == {"id", "principal", "name", "scopes", "created_at"}
    assert made["key"] not in ada.get("/keys?limit=1000").text


def test_keys_are_listed_in_pages(ada: Caller) -> None:
    ids = [make(ada)["id"] for _ in range(3)]
    listed = [key["id"] for page in ada.walk("/keys?limit=2") for key in page]
    assert listed == sorted(listed)
    assert set(ids) <= set(listed)
    backwards = [key["id"] for page in ada.walk("/keys?limit=2&order=desc") for key in page]
    assert backwards == listed[::-1]


def test_a_key_and_its_page_change_their_tags_when_it_ends(ada: Caller) -> None:
    key_id = make(ada)["id"]
    item, page = ada.get(f"/keys/{key_id}"), ada.get("/keys?order=desc&limit=1")
    assert ada.get(f"/keys/{key_id}", if_none_match=item.headers["ETag"]).status_code == 304
    assert ada.get("/keys?order=desc&limit=1", if_none_match=page.headers["ETag"]).status_code == 304
    assert ada.request("DELETE", f"/keys/{key_id}").status_code == 204
    assert ada.get(f"/keys/{key_id}", if_none_match=item.headers["ETag"]).json["revoked_at"]
    assert ada.get("/keys?order=desc&limit=1", if_none_match=page.headers["ETag"]).status_code == 200


def test_revoking_is_permanent_and_may_be_repeated(ada: Caller) -> None:
    key_id = make(ada)["id"]
    answers = [ada.request("DELETE", f"/keys/{key_id}") for _ in range(2)]
    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b"")] * 2
    assert ada.post(f"/keys/{key_id}/rotate", {}).status_code == 409


def test_rotation_leaves_no_instant_without_a_key(app: Application, ada: Caller) -> None:
    old = make(ada, expires_at=stamp(now() + timedelta(days=30)))
    rotated = ada.post(f"/keys/{old['id']}/rotate", {"overlap": 3600})
    assert rotated.status_code == 201
    new = rotated.json
    assert new["key"] != old["key"]
    for same in ("principal", "name", "scopes", "expires_at"):
        assert new[same] == old[same]
    for text in (old["key"], new["key"]):
        assert Caller(app, text).get("/documents").status_code == 200
    retired_at = datetime.fromisoformat(ada.get(f"/keys/{old['id']}").json["retired_at"])
    assert abs(retired_at - now() - timedelta(hours=1)) < timedelta(minutes=5)


def test_rotation_without_overlap_ends_the_old_key(ada: Caller, services: Services) -> None:
    old = make(ada)
    new = ada.post(f"/keys/{old['id']}/rotate", {"overlap": 0}).json
    alive = {
        text: key is not None and key.is_alive(now())
        for text in (old["key"], new["key"])
        for key in [services.keys.recognise(text)]
    }
    assert alive == {old["key"]: False, new["key"]: True}


def test_rotation_breaks_no_cursor(app: Application, ada: Caller) -> None:
    for _ in range(2):
        ada.new_document()
    old = make(ada)
    url = Caller(app, old["key"]).get("/documents?limit=1").headers["x-next"]
    new = ada.post(f"/keys/{old['id']}/rotate", {}).json
    assert Caller(app, new["key"]).get(url).status_code == 200


def test_a_key_is_rotated_once(ada: Caller) -> None:
    key_id = make(ada)["id"]
    assert ada.post(f"/keys/{key_id}/rotate", {}).status_code == 201
    again = ada.post(f"/keys/{key_id}/rotate", {})
    assert (again.status_code, again.json["error"]) == (409, "conflict")


def test_of_two_concurrent_rotations_one_creates_a_key(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read the key before the first records its rotation."""
    key, _ = services.keys.create("raced", ["documents:read"])
    before = services.keys.get(key.id)
    services.keys.rotate(key.id)
    count = len(list(services.keys.all()))
    get = services.keys.get
    monkeypatch.setattr(services.keys, "get", lambda key_id, by=None: before if key_id == key.id else get(key_id))
    with pytest.raises(Exception, match="rotated before"):
        services.keys.rotate(key.id)
    monkeypatch.undo()
    loser = list(services.keys.all())[count:]
    assert [one.revoked_at is not None for one in loser] == [True]


def test_no_key_mints_a_wider_one(caller: Callable[..., Caller], ada: Caller) -> None:
    narrow = caller("keys:manage", "documents:read")
    wider = make(ada, scopes=["documents:write"])
    assert make(narrow)["scopes"] == ["documents:read"]
    for refused in (
        narrow.post("/keys", {"name": "wide", "scopes": ["documents:write"]}),
        narrow.post("/keys", {"name": "wide", "scopes": ["documents:read", "operate"]}),
        narrow.post(f"/keys/{wider['id']}/rotate", {}),
    ):
        assert (refused.status_code, refused.json["error"]) == (403, "forbidden")


def test_no_key_lengthens_its_own_life(app: Application, ada: Caller) -> None:
    ends = stamp(now() + timedelta(hours=2))
    short = make(ada, scopes=["keys:manage"], expires_at=ends)
    holder, forever = Caller(app, short["key"]), make(ada, scopes=["keys:manage"])
    assert make(holder, scopes=["keys:manage"])["expires_at"] == ends
    later = stamp(now() + timedelta(hours=3))
    assert holder.post("/keys", {"name": "x", "scopes": ["keys:manage"], "expires_at": later}).status_code == 403
    assert holder.post(f"/keys/{forever['id']}/rotate", {}).status_code == 403
    assert holder.post(f"/keys/{short['id']}/rotate", {}).json["expires_at"] == ends


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("2099-01-31T12:00:00Z", ".000000"), ("2099-01-31T12:00:00.5Z", ".500000")),
        *(("2099-01-31T12:00:00.123456789Z", ".123456"), (f"2099-01-31T12:00:00.9999999{'9' * 300}Z", ".999999")),
        *(("2099-01-31T14:30:00.125+02:30", ".125000"), ("2099-01-31t12:00:00.1234567z", ".123456")),
    ],
)
def test_a_time_may_have_any_number_of_digits(ada: Caller, text: str, expected: str) -> None:
    assert make(ada, expires_at=text)["expires_at"] == f"2099-01-31T12:00:00{expected}Z"


@pytest.mark.parametrize(("method", "suffix", "ok"), [("DELETE", "", 204), ("POST", "/rotate", 201)])
def test_conditions_hold_for_keys_too(ada: Caller, method: str, suffix: str, ok: int) -> None:
    path = f"/keys/{make(ada)['id']}"
    tag, value = ada.get(path).headers["ETag"], dict[str, Any]() if suffix else None
    for headers in (
        {"If-Match": '"1-a"'},
        {"If-None-Match": "*"},
        {"If-None-Match": tag},
        {"If-Unmodified-Since": "then"},
    ):
        answer = ada.request(method, path + suffix, json=value, headers=headers)
        assert (answer.status_code, answer.headers["ETag"]) == (412, tag), headers
    assert ada.get(path).headers["ETag"] == tag
    assert ada.request(method, path + suffix, json=value, headers={"If-Match": tag}).status_code == ok
    assert ada.request(method, path + suffix, json=value, headers={"If-Match": tag}).status_code == 412


def locations(answer: Answer) -> list[str]:
    """Return the locations of the faults of a 400."""
    assert answer.status_code == 400, answer.text
    return sorted(fault["location"] for fault in answer.json["errors"])


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"name": ""}, "body.name"),
        ({"name": "x" * 301}, "body.name"),
        ({"scopes": []}, "body.scopes"),
        ({"scopes": ["everything"]}, "body.scopes.0"),
        ({"scopes": "documents:read"}, "body.scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "body.expires_at"),
        ({"expires_at": "2099-01-01"}, "body.expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "body.expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "body.expires_at"),
        ({"expires_at": "2099-13-01T00:00:00Z"}, "body.expires_at"),
        ({"expires_at": "2099-01-01T00:00:00.Z"}, "body.expires_at"),
        ({"expires_at": "2099-01-01T00:00:00,5Z"}, "body.expires_at"),
        ({"expires_at": 4102444800}, "body.expires_at"),
        ({"principal": "p1"}, "body.principal"),
        ({"id": 1}, "body.id"),
    ],
)
def test_a_wrong_request_is_located(ada: Caller, change: dict[str, Any], where: str) -> None:
    assert locations(ada.post("/keys", {"name": "x", "scopes": ["documents:read"], **change})) == [where]


@pytest.mark.parametrize("overlap", [1, -1, 3600.0, "3600", None, True, 604801])
def test_an_overlap_is_one_of_four(ada: Caller, overlap: Any) -> None:
    assert locations(ada.post(f"/keys/{make(ada)['id']}/rotate", {"overlap": overlap})) == ["body.overlap"]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", "/rotate")])
def test_an_unknown_key_is_a_404(ada: Caller, method: str, path: str) -> None:
    answer = ada.request(method, f"/keys/987654321{path}", data=json.dumps({}), content_type="application/json")
    assert answer.status_code == 404


def test_a_key_outlives_the_rotation_of_the_secret(make_app: Callable[..., Application]) -> None:
    """It works under both secrets and, after a use, under the new one alone."""
    old, both, new = ("old",), ("new", "old"), ("new",)
    _, text = make_app(secrets=old).services.keys.create("kept", ["documents:read"])
    _, unused = make_app(secrets=old).services.keys.create("unused", ["documents:read"])
    assert Caller(make_app(secrets=new), text).get("/documents").status_code == 401
    assert Caller(make_app(secrets=both), text).get("/documents").status_code == 200
    assert Caller(make_app(secrets=new), text).get("/documents").status_code == 200
    assert Caller(make_app(secrets=new), unused).get("/documents").status_code == 401
