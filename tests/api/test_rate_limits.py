"""Rate limits over HTTP: counting, headers and refusals."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from app import Application
from app.api.openapi.headers import RATE_LIMITS
from app.domain.access import SCOPES
from app.domain.keys.key_text import compose
from app.limits import limiter as limiter_module
from app.limits.limiter import Limiter, Verdict
from app.limits.policies import policies
from app.metric_definitions import UNLIMITED
from app.services import Services
from tests.api.conftest import Answer, Caller
from tests.samples import value

pytestmark = pytest.mark.usefixtures("views_are_awaited")

NOTHING_LISTENS_HERE = "redis://127.0.0.1:1"
READS, WRITES = 4, 2


class Standing(NamedTuple):
    """The contents of both headers of an answer."""

    name: str
    quota: int
    window: int
    remaining: int
    seconds: int


def standing(answer: Answer) -> Standing:
    """Parse the headers; both must exist and name the same policy."""
    policy = re.fullmatch(r'"([a-z]+)";q=(\d+);w=(\d+)', answer.headers["RateLimit-Policy"])
    state = re.fullmatch(r'"([a-z]+)";r=(\d+);t=(\d+)', answer.headers["RateLimit"])
    assert policy is not None
    assert state is not None
    assert policy[1] == state[1]
    return Standing(policy[1], *map(int, (policy[2], policy[3], state[2], state[3])))


def remaining(answer: Answer) -> tuple[str, int]:
    """Return the policy of an answer, and the remaining requests."""
    state = standing(answer)
    return state.name, state.remaining


def assert_refused(answer: Answer, name: str) -> None:
    """Check a 429 under the policy ``name``."""
    assert (answer.status_code, answer.json["error"]) == (429, "too_many_requests")
    state = standing(answer)
    assert (state.name, state.remaining) == (name, 0)
    assert 1 <= state.seconds <= 3600
    assert state.seconds <= int(answer.headers["Retry-After"]) <= state.seconds * 1.2


@pytest.fixture
def limited(make_app: Callable[..., Application]) -> Application:
    """An application with small, unused limits."""
    return make_app(rate_limit=policies(f"read={READS}/hour,write={WRITES}/hour"))


@pytest.fixture
def eve(limited: Application, services: Services) -> Caller:
    """A client with every scope, within limits."""
    return Caller(limited, services.keys.create("eve", SCOPES)[1])


def test_each_answer_reports_the_remaining_requests(eve: Caller) -> None:
    state = standing(eve.get("/documents"))
    assert state[:4] == ("read", READS, 3600, READS - 1)
    assert 3500 < state.seconds <= 3600
    assert standing(eve.post("/documents", {"title": "x"}))[:4] == ("write", WRITES, 3600, WRITES - 1)


def test_beyond_the_limit_nothing_is_done(eve: Caller, ada: Caller) -> None:
    for rest in reversed(range(WRITES)):
        answer = eve.post("/documents", {"title": "within"})
        assert (answer.status_code, remaining(answer)) == (201, ("write", rest))
    before = ada.walk("/documents")
    assert_refused(eve.post("/documents", {"title": "beyond"}), "write")
    assert ada.walk("/documents") == before


def test_retry_after_varies_between_refusals(eve: Caller) -> None:
    for _ in range(READS):
        eve.get("/documents")
    assert len({eve.get("/documents").headers["Retry-After"] for _ in range(30)}) > 1


def test_get_and_head_are_reading_and_all_else_is_writing(limited: Application, services: Services) -> None:
    expected = {"GET": "read", "HEAD": "read", "POST": "write", "DELETE": "write"}
    for method, name in expected.items():
        someone = Caller(limited, services.keys.create("someone", SCOPES)[1])
        path = "/keys/999999" if method == "DELETE" else "/documents"
        assert standing(someone.request(method, path)).name == name


ERRORS: list[tuple[int, Callable[[Caller], Answer]]] = [
    (400, lambda eve: eve.get("/documents?limit=0")),
    (403, lambda eve: eve.get("/keys")),
    (404, lambda eve: eve.get("/documents/999999999")),
    (404, lambda eve: eve.get("/documents/999999999", if_none_match="*")),
    (406, lambda eve: eve.get("/documents", accept="image/png")),
    (406, lambda eve: eve.get("/documents", accept="image/png", if_none_match="*")),
]


@pytest.mark.parametrize(("status", "produce"), ERRORS)
def test_errors_are_counted(
    limited: Application, services: Services, status: int, produce: Callable[[Caller], Answer]
) -> None:
    reader = Caller(limited, services.keys.create("reader", ["documents:read"])[1])
    for rest in reversed(range(READS)):
        answer = produce(reader)
        assert (answer.status_code, remaining(answer)) == (status, ("read", rest))
    assert_refused(produce(reader), "read")


def test_a_bug_is_counted(eve: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError

    monkeypatch.setattr("app.store.Database.view", broken)
    for rest, headers in ((3, {}), (2, {"if_none_match": '"x"'})):
        answer = eve.get("/documents", **headers)
        assert (answer.status_code, remaining(answer)) == (500, ("read", rest))
    assert "RuntimeError" in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/livez"),
        ("GET", "/openapi.json"),
        ("GET", "/nope"),
        ("OPTIONS", "/documents"),
        ("PATCH", "/documents"),
    ],
)
def test_public_paths_are_not_counted(eve: Caller, method: str, path: str) -> None:
    for _ in range(READS + 1):
        answer = eve.request(method, path)
        assert answer.status_code != 429
        assert not set(RATE_LIMITS) & set(answer.headers.keys())
    assert remaining(eve.get("/documents")) == ("read", READS - 1)


def test_limits_belong_to_the_principal_and_not_to_the_key(limited: Application, services: Services) -> None:
    old, old_text = services.keys.create("old", SCOPES)
    new_text = services.keys.rotate(old.id, 3600)[1]
    other_text = services.keys.create("other", SCOPES)[1]
    for rest in reversed(range(READS)):
        answer = Caller(limited, (old_text, new_text)[rest % 2]).get("/documents")
        assert remaining(answer) == ("read", rest)
    assert_refused(Caller(limited, new_text).get("/documents"), "read")
    assert remaining(Caller(limited, other_text).get("/documents")) == ("read", READS - 1)


def test_a_304_costs_nothing(eve: Caller) -> None:
    original = eve.get("/documents")
    for method in ("GET", "HEAD", "GET", "HEAD", "GET", "HEAD"):
        spared = eve.request(method, "/documents", headers={"If-None-Match": original.headers["ETag"]})
        assert (spared.status_code, remaining(spared)) == (304, ("read", READS - 1))


def test_a_conditional_request_with_a_200_is_counted(eve: Caller) -> None:
    for rest in reversed(range(READS)):
        answer = eve.get("/documents", if_none_match='"other"')
        assert (answer.status_code, remaining(answer)) == (200, ("read", rest))
    assert_refused(eve.get("/documents", if_none_match='"other"'), "read")


def test_where_nothing_is_left_a_tag_does_not_help(eve: Caller) -> None:
    for _ in range(READS):
        original = eve.get("/documents")
    assert_refused(eve.get("/documents", if_none_match=original.headers["ETag"]), "read")


def test_a_conditional_request_is_refused_if_the_limit_is_reached_meanwhile(
    eve: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other requests use up the limit while the view runs."""
    for _ in range(READS):
        eve.get("/documents")
    read = policies("read=1/hour,write=1/hour")[0]
    monkeypatch.setattr(Limiter, "look", lambda *_: Verdict(read, True, 1, 5))
    answer = eve.get("/documents", if_none_match='"other"')
    assert_refused(answer, "read")
    assert "ETag" not in answer.headers


def test_a_write_is_counted_first_with_any_condition(eve: Caller, ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """To look first would say here that there is room."""
    write = policies("read=1/hour,write=1/hour")[1]
    monkeypatch.setattr(Limiter, "look", lambda *_: Verdict(write, True, 1, 5))
    tagged = {"If-None-Match": "*"}
    for _ in range(WRITES):
        eve.request("POST", "/documents", json={"title": "x"}, headers=tagged)
    before = ada.walk("/documents")
    assert_refused(eve.request("POST", "/documents", json={"title": "x"}, headers=tagged), "write")
    assert ada.walk("/documents") == before


def attempt(app: Application, key: str | None, address: str = "192.0.2.1", **headers: str) -> Answer:
    """Send a GET from an address."""
    return Caller(app, key).request("GET", "/documents", environ_base={"REMOTE_ADDR": address}, headers=headers)


def unusable(services: Services) -> list[str | None]:
    """Return different invalid keys, one for each failure that the limit allows."""
    revoked, text = services.keys.create("revoked", SCOPES)
    services.keys.revoke(revoked.id)
    return [None, "YOUR_API_KEY", compose("live", b"\x01" * 32), text]


def test_failed_attempts_are_counted_by_address(limited: Application, services: Services) -> None:
    for rest, key in zip(reversed(range(READS)), unusable(services), strict=True):
        answer = attempt(limited, key)
        assert (answer.status_code, remaining(answer)) == (401, ("failed", rest))
    for key in unusable(services):
        refused = attempt(limited, key)
        assert_refused(refused, "failed")
        assert "WWW-Authenticate" not in refused.headers
    assert attempt(limited, None, "192.0.2.2").status_code == 401


def test_failed_attempts_do_not_affect_a_valid_key(limited: Application, eve: Caller) -> None:
    for _ in range(READS + 1):
        attempt(limited, None)
    answer = attempt(limited, eve.key)
    assert (answer.status_code, remaining(answer)) == (200, ("read", READS - 1))
    assert_refused(attempt(limited, None), "failed")


def test_a_429_is_not_a_failed_attempt(limited: Application, eve: Caller) -> None:
    for _ in range(READS + 1):
        refused = attempt(limited, eve.key)
    assert_refused(refused, "read")
    assert remaining(attempt(limited, None)) == ("failed", READS - 1)


def test_behind_a_proxy_the_clients_address_counts(make_app: Callable[..., Application]) -> None:
    app = make_app(rate_limit=policies("read=1/hour,write=1/hour"), trusted_proxies=1)
    statuses = [
        attempt(app, None, **{"X-Forwarded-For": address}).status_code
        for address in ("198.51.100.1", "198.51.100.1", "203.0.113.9, 198.51.100.1", "198.51.100.2")
    ]
    assert statuses == [401, 429, 429, 401]


def test_without_its_storage_the_service_continues(
    make_app: Callable[..., Application],
    ada: Caller,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limiter_module, "RETRY_SECONDS", 3600.0)
    app = make_app(rate_limit=policies("read=1/hour,write=1/hour"), rate_limit_storage=NOTHING_LISTENS_HERE)
    with caplog.at_level(logging.WARNING, "dreamscript.limits"):
        answers = [Caller(app, ada.key).get("/documents", if_none_match='"x"') for _ in range(5)]
        answers += [Caller(app, None).get("/documents") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [401] * 2
    assert not any(set(RATE_LIMITS) & set(answer.headers.keys()) for answer in answers)
    limiter = app.services.limiter
    assert limiter is not None
    assert limiter.failures == value(app.services.metrics, UNLIMITED) == 7
    assert [record.levelname for record in caplog.records if record.name == "dreamscript.limits"] == ["WARNING"]


def test_limits_can_be_off(ada: Caller, nobody: Caller) -> None:
    for answer in (ada.get("/documents"), ada.get("/documents", if_none_match="*"), nobody.get("/documents")):
        assert not set(RATE_LIMITS) & set(answer.headers.keys())
