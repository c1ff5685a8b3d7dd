"""Hot reads take a short path, which answers exactly as the long one does, and never with what is no longer so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from werkzeug.test import Client

from app import Application
from app.domain.access import SCOPES
from app.domain.keys import authenticator
from app.domain.listing.index import Index
from app.limits.policies import policies
from app.store.exchange import Exchange
from app.wiring import Services
from tests.api import two_paths
from tests.api.conftest import Answer, Caller
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(scope="module", autouse=True)
def followed(app: Application, ada: Caller) -> Iterator[None]:
    """Wait until the feeds of changes are live, and remember keys for longer than a busy machine may pause."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(authenticator, "VALID_SECONDS", 3600.0)
        ada.get("/documents/1")
        ada.get("/projects/1")
        wait_until(lambda: None not in marks(app))
        yield


def marks(app: Application) -> list[int | None]:
    """Return what stays the same until there is news of a write."""
    services: Services = app.services
    return [cache.token() for cache in services.body_caches.values()]


def is_short(caller: Caller, path: str, **headers: str) -> bool:
    """Tell whether a second reader is answered on the short path, as on the long one, while there is no news."""
    sent = {"X-API-Key": caller.key or "", **{name.replace("_", "-"): value for name, value in headers.items()}}
    while True:
        # A feed that was silent for too long is opened again after a while, and until then nothing is cached.
        wait_until(lambda: None not in marks(caller.app))
        before = marks(caller.app)
        caller.get(path, **headers)
        if two_paths.compare(caller.app, path, sent):
            return True
        if None not in before and before == marks(caller.app):
            return False


def paths(ada: Caller) -> list[str]:
    project = ada.new_project(description="With a description: ü, 漢, \U0001f600")["id"]
    documents = [ada.new_document("T", content="x" * n, project_id=project)["id"] for n in range(3)]
    first, second = (
        f"/documents?limit=1&ids={','.join(map(str, documents))}",
        f"/projects/{project}/documents?limit=2",
    )
    return [
        f"/documents/{documents[0]}",
        f"/projects/{project}",
        "/documents",
        "/documents?limit=2&order=desc",
        f"/documents?project_id={project}",
        first,
        ada.get(first).headers["x-next"],
        second,
        ada.get(second).headers["x-next"],
        "/projects?limit=1",
    ]


def test_each_kind_of_hot_read_takes_it(ada: Caller) -> None:
    found = paths(ada)
    assert {path: is_short(ada, path) for path in found} == dict.fromkeys(found, True)
    for path in found:
        tag = ada.get(path).headers["ETag"]
        assert is_short(ada, path, If_None_Match=tag)
        assert is_short(ada, path, If_None_Match='"other"')
        assert is_short(ada, path, X_Request_ID="my-own")


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache_Control": "no-cache"},
        {"Accept": "text/html"},
        {"Accept": "application/json;q=0"},
        {"Host": "elsewhere"},
        {"Host": ""},
        {"X_API_Key": "unknown"},
    ],
)
def test_what_may_need_another_answer_does_not(ada: Caller, headers: dict[str, str]) -> None:
    path = f"/documents/{ada.new_document()['id']}"
    assert is_short(ada, path)
    sent = {"X-API-Key": ada.key or "", **{name.replace("_", "-"): value for name, value in headers.items()}}
    assert two_paths.short_path(ada.app, path, sent) is None


@pytest.mark.parametrize("path", ["//documents", "//documents?limit=1", "///projects", "//projects/{}/documents"])
def test_doubled_slashes_are_left_to_the_router(ada: Caller, path: str) -> None:
    path = path.format(ada.new_project()["id"])
    client = Client(ada.app)
    # A client of its own, since the usual one takes a path that begins with two slashes for a host.
    environ = {"PATH_INFO": path.partition("?")[0], "QUERY_STRING": path.partition("?")[2], "HTTP_X_API_KEY": ada.key}
    answers = [client.open("/", environ_overrides=environ) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    "path", ["/documents/{}?x=1", "/documents/0{}", "/documents/{}/", "/documents/{}/documents", "/projects/{}"]
)
def test_another_path_does_not(ada: Caller, path: str) -> None:
    number = ada.new_document()["id"]
    assert is_short(ada, f"/documents/{number}")
    assert not is_short(ada, path.format(number + 10_000 if "projects" in path else number))


def test_a_key_without_the_scope_is_refused_as_ever(ada: Caller, caller: Callable[..., Caller]) -> None:
    project = ada.new_project()["id"]
    inside = f"/projects/{project}/documents"
    path = f"/documents/{ada.new_document(project_id=project)['id']}"
    reader, other = caller("documents:read"), caller("projects:read")
    reads = {
        each: [is_short(one, each) for one in (ada, reader, other)] for each in (path, inside, f"/projects/{project}")
    }
    assert reads == {
        path: [True, True, False],
        inside: [True, True, False],
        f"/projects/{project}": [True, False, True],
    }
    assert other.get(path).status_code == reader.get(f"/projects/{project}").status_code == 403


def test_a_limited_key_gets_what_it_reaches_and_pages_on_the_long_path(ada: Caller, services: Services) -> None:
    inside, outside = ada.new_document()["id"], ada.new_document()["id"]
    _, text = services.keys.create("limited", ["documents:read"], documents=[inside])
    limited = Caller(ada.app, text)
    assert is_short(ada, f"/documents/{outside}")
    assert is_short(limited, f"/documents/{inside}")
    assert not is_short(limited, f"/documents/{outside}")
    assert limited.get(f"/documents/{outside}").status_code == 403
    assert not is_short(limited, "/documents")


def test_a_write_is_seen_at_once(ada: Caller) -> None:
    document = ada.new_document("first")
    path = f"/documents/{document['id']}"
    pages = ["/documents?order=desc", f"/documents?ids={document['id']}"]
    for title in ("second", "third"):
        assert all(is_short(ada, each) for each in (path, *pages))
        ada.request("PUT", path, json={"title": title})
        assert ada.get(path).json["title"] == title
        assert {ada.get(page).json[0]["title"] for page in pages} == {title}
    assert is_short(ada, path)
    ada.request("DELETE", path)
    assert ada.get(path).status_code == 404
    assert document["id"] not in [each["id"] for each in ada.get(pages[0]).json]


def test_a_change_by_others_is_seen_when_it_was_told(ada: Caller, services: Services) -> None:
    """These services share nothing with the application but the database, as if they were on another host."""
    document = ada.new_document("here")
    path = f"/documents/{document['id']}"
    assert is_short(ada, path)
    stored = services.store["documents"].get(f"document:{document['id']:016d}")
    assert stored is not None
    services.store["documents"].replace({**stored, "title": "elsewhere"})
    assert ada.get(path, Cache_Control="no-cache").json["title"] == "elsewhere"
    wait_until(lambda: ada.get(path).json["title"] == "elsewhere")
    assert is_short(ada, path)


def test_who_asks_with_a_tag_only_keeps_the_page_warm(ada: Caller) -> None:
    """Something else has changed, so that the page must be looked at once more, but not each time."""
    number = ada.new_document()["id"]
    path = f"/documents?ids={number}"
    tag = ada.get(path).headers["ETag"]
    ada.new_document("something else")
    assert is_short(ada, path, If_None_Match=tag)
    assert ada.get(path, if_none_match=tag).status_code == 304
    assert is_short(ada, path)


def test_who_has_asked_too_often_has_nothing_read(
    make_app: Callable[..., Application], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = Caller(make_app(rate_limit=policies("read=3/hour,write=3/hour")), services.keys.create("l", SCOPES)[1])
    path = f"/documents/{limited.new_document()['id']}"
    assert [limited.get(path, cache_control="no-cache").status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(Exchange, "find", lambda *_, **__: pytest.fail("the database was asked"))
    answer = limited.get(path, cache_control="no-cache")
    assert (answer.status_code, answer.json["error"]) == (429, "too_many_requests")


def test_a_page_that_is_shared_is_the_page(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who ask while it is being made, one reads for all; each gets headers of its own."""
    for _ in range(3):
        ada.new_document()
    path, read, reading, may_read = "/documents?limit=3", Index.range, Event(), Event()

    def slow(*args: Any) -> Any:
        reading.set()
        may_read.wait()
        return read(*args)

    monkeypatch.setattr(Index, "range", slow)

    def ask(number: int) -> Answer:
        return ada.request("GET", path, headers={"Cache-Control": "no-cache", "X-Request-ID": f"r{number}"})

    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, number) for number in range(6)]
        assert reading.wait(PATIENCE)
        may_read.set()
        answers = [each.result() for each in asked]
    assert {(answer.status_code, answer.data, answer.headers["ETag"]) for answer in answers} == {
        (200, answers[0].data, answers[0].headers["ETag"])
    }
    assert [answer.headers["X-Request-ID"] for answer in answers] == [f"r{number}" for number in range(6)]
