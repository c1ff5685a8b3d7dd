"""The response cache answers exactly as Flask does, and never with an outdated answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any

import pytest
from werkzeug.test import Client, EnvironBuilder, TestResponse

from app import Application
from app.cache import single_flight
from app.domain.access import SCOPES
from app.domain.keys import authenticator
from app.domain.listing.pages import Index
from app.limits.policies import policies
from app.metric_definitions import FEED_CHANGES
from app.request_context import remaining
from app.services import Services
from app.store import changes
from app.store.exchange import Exchange
from tests.api import cache_comparison
from tests.api.conftest import Caller
from tests.samples import value
from tests.waiting import wait_until

QUOTA = 6


@pytest.fixture(scope="module", autouse=True)
def _patient() -> Iterator[None]:
    """Remember keys, and take feeds for live, for longer than a busy machine may pause."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(authenticator, "VALID_SECONDS", 3600.0)
        patched.setattr(changes, "IDLE_SECONDS", 3600.0)
        yield


@pytest.fixture(scope="module", autouse=True)
def followed(_patient: None, app: Application, ada: Caller) -> None:
    """Wait until the feeds of changes are live."""
    follow(app, ada)


def follow(app: Application, caller: Caller) -> None:
    """Start the feeds of ``app``, and wait until they are live."""
    for path in ("/documents/1", "/projects/1"):
        Caller(app, caller.key).get(path)
    wait_until(lambda: None not in tokens(app))


def new_document(caller: Caller) -> int:
    """Create a document; return its id once the feed of the caller's application has reported it.

    The report of a write makes the cached answers invalid, even those that were read after it.
    """
    reported = partial(value, caller.app.services.metrics, FEED_CHANGES, "documents")
    before = reported()
    public_id: int = caller.new_document()["id"]
    wait_until(lambda: reported() > before)
    return public_id


def tokens(app: Application) -> list[int | None]:
    """Return values that stay the same until a write is noticed."""
    return [cache.token() for cache in app.services.body_caches.values()]


def sent(caller: Caller, headers: dict[str, str]) -> dict[str, str]:
    """Return the headers of a request; ``If_None_Match`` is the header If-None-Match."""
    return {"X-API-Key": caller.key or "", **{name.replace("_", "-"): value for name, value in headers.items()}}


def is_hit(caller: Caller, path: str, **headers: str) -> bool:
    """Return whether a second reader is answered from the cache, exactly as by Flask, while nothing is written."""
    while True:
        # A feed that was silent for too long is opened again after a while, and until then nothing is cached.
        wait_until(lambda: None not in tokens(caller.app))
        before = tokens(caller.app)
        caller.get(path, **headers)
        if cache_comparison.compare(caller.app, path, sent(caller, headers)):
            return True
        if None not in before and before == tokens(caller.app):
            return False


def read_side(ada: Caller) -> list[str]:
    """Return a path of each kind that can be cached."""
    project = ada.new_project(description="With a description: ü, 漢, \U0001f600")["id"]
    documents = [ada.new_document("T", content="x" * n, project_id=project)["id"] for n in range(3)]
    by_ids = f"/documents?limit=1&ids={','.join(map(str, documents))}"
    in_project = f"/projects/{project}/documents?limit=2"
    return [
        f"/documents/{documents[0]}",
        f"/projects/{project}",
        "/documents",
        "/documents?limit=2&order=desc",
        f"/documents?project_id={project}",
        by_ids,
        ada.get(by_ids).headers["x-next"],
        in_project,
        ada.get(in_project).headers["x-next"],
        "/projects?limit=1",
    ]


def test_the_whole_read_side_is_the_same_with_and_without_the_cache(ada: Caller) -> None:
    paths = read_side(ada)
    assert {path: is_hit(ada, path) for path in paths} == dict.fromkeys(paths, True)
    for path in paths:
        tag = ada.get(path).headers["ETag"]
        for headers in (
            {"If_None_Match": tag},
            {"If_None_Match": f'W/"other", W/{tag[:-1]}-gzip"'},
            {"If_None_Match": "*"},
            {"If_None_Match": '"other"'},
            {"X_Request_ID": "my-own"},
            {"Accept": "*/*"},
            {"Host": "api.example.com:8443"},
        ):
            assert is_hit(ada, path, **headers), (path, headers)


def test_rate_limit_headers_go_on_from_flask_to_the_cache(
    make_app: Callable[..., Application], services: Services, ada: Caller
) -> None:
    app = make_app(rate_limit=policies(f"read={QUOTA}/hour,write={QUOTA}/hour"))
    eve = Caller(app, services.keys.create("eve", SCOPES)[1])
    follow(app, ada)
    path = f"/documents/{new_document(eve)}"
    first = eve.get(path)
    headers = sent(eve, {})
    hit = cache_comparison.cached(app, path, headers)
    spared = cache_comparison.cached(app, path, {**headers, "If-None-Match": first.headers["ETag"]})
    assert hit is not None
    assert spared is not None
    by_flask = cache_comparison.by_flask(app, path, {**headers, "Cache-Control": "no-cache"})
    left = [dict(found[1])["RateLimit"].split(";")[1] for found in (hit, spared, by_flask)]
    assert left == [f"r={QUOTA - 2}", f"r={QUOTA - 2}", f"r={QUOTA - 3}"]
    names = [[name for name, _ in found[1]] for found in (hit, by_flask)]
    assert names[0] == names[1]
    for _ in range(QUOTA - 3):
        assert cache_comparison.cached(app, path, headers)
    assert cache_comparison.cached(app, path, headers) is None
    assert eve.get(path).status_code == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache_Control": "no-cache"},
        {"Accept": "text/html"},
        {"Accept": "application/json;q=0"},
        {"Host": ""},
        {"Host": "a host"},
        {"Host": "localhost:65536x"},
        {"X_API_Key": "unknown"},
    ],
)
def test_a_request_that_flask_may_answer_differently_is_a_miss(ada: Caller, headers: dict[str, str]) -> None:
    for path in (f"/documents/{ada.new_document()['id']}", "/documents?limit=1"):
        assert is_hit(ada, path)
        assert cache_comparison.cached(ada.app, path, sent(ada, headers)) is None


@pytest.mark.parametrize(
    "path", ["//documents", "//documents?limit=1", "///projects", "//projects/{}/documents", "//", "///"]
)
def test_doubled_slashes_are_not_found(ada: Caller, path: str) -> None:
    path = path.format(ada.new_project()["id"])
    # The usual client takes a path that begins with two slashes for a host.
    environ = {"PATH_INFO": path.partition("?")[0], "QUERY_STRING": path.partition("?")[2], "HTTP_X_API_KEY": ada.key}
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert Client(ada.app).open("/", method=method, environ_overrides=environ).status_code == 404


@pytest.mark.parametrize(
    "path", ["/documents/{}?x=1", "/documents/0{}", "/documents/{}/", "/documents/{}/documents", "/projects/{}"]
)
def test_other_paths_are_misses(ada: Caller, path: str) -> None:
    number = ada.new_document()["id"]
    assert is_hit(ada, f"/documents/{number}")
    assert not is_hit(ada, path.format(number + 10_000 if "projects" in path else number))


def test_a_key_without_the_scope_misses(ada: Caller, caller: Callable[..., Caller]) -> None:
    project = ada.new_project()["id"]
    inside = f"/projects/{project}/documents"
    path = f"/documents/{ada.new_document(project_id=project)['id']}"
    reader, other = caller("documents:read"), caller("projects:read")
    hits = {
        each: [is_hit(one, each) for one in (ada, reader, other)] for each in (path, inside, f"/projects/{project}")
    }
    assert hits == {
        path: [True, True, False],
        inside: [True, True, False],
        f"/projects/{project}": [True, False, True],
    }
    assert other.get(path).status_code == reader.get(f"/projects/{project}").status_code == 403


def test_a_limited_key_hits_items_within_its_limits_and_no_pages(ada: Caller, services: Services) -> None:
    inside, outside = ada.new_document()["id"], ada.new_document()["id"]
    _, text = services.keys.create("limited", ["documents:read"], documents=[inside])
    limited = Caller(ada.app, text)
    assert is_hit(ada, f"/documents/{outside}")
    assert is_hit(limited, f"/documents/{inside}")
    assert not is_hit(limited, f"/documents/{outside}")
    assert limited.get(f"/documents/{outside}").status_code == 403
    assert not is_hit(limited, "/documents")


def test_a_write_is_visible_at_once(ada: Caller) -> None:
    document = ada.new_document("first")
    path = f"/documents/{document['id']}"
    pages = ["/documents?order=desc", f"/documents?ids={document['id']}"]
    for title in ("second", "third"):
        assert all(is_hit(ada, each) for each in (path, *pages))
        ada.request("PUT", path, json={"title": title})
        assert ada.get(path).json["title"] == title
        assert {ada.get(page).json[0]["title"] for page in pages} == {title}
    assert is_hit(ada, path)
    ada.request("DELETE", path)
    assert ada.get(path).status_code == 404
    assert document["id"] not in [each["id"] for each in ada.get(pages[0]).json]


def test_a_write_of_another_host_is_visible_once_the_feed_reports_it(ada: Caller, services: Services) -> None:
    """``services`` share only the database with the application, as if they were on another host."""
    document = ada.new_document("here")
    path = f"/documents/{document['id']}"
    assert is_hit(ada, path)
    stored = services.store["documents"].get(f"document:{document['id']:016d}")
    assert stored is not None
    services.store["documents"].replace({**stored, "title": "elsewhere"})
    assert ada.get(path, Cache_Control="no-cache").json["title"] == "elsewhere"
    wait_until(lambda: ada.get(path).json["title"] == "elsewhere")
    assert is_hit(ada, path)


def test_a_304_by_flask_renews_a_cached_page(ada: Caller) -> None:
    """A write elsewhere in the database makes the page's token invalid, but not the page."""
    path = f"/documents?ids={ada.new_document()['id']}"
    tag = ada.get(path).headers["ETag"]
    ada.new_document("something else")
    assert is_hit(ada, path, If_None_Match=tag)
    assert ada.get(path, if_none_match=tag).status_code == 304
    assert is_hit(ada, path)


def test_over_the_rate_limit_nothing_is_read(
    make_app: Callable[..., Application], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = Caller(make_app(rate_limit=policies("read=3/hour,write=3/hour")), services.keys.create("l", SCOPES)[1])
    path = f"/documents/{limited.new_document()['id']}"
    assert [limited.get(path, cache_control="no-cache").status_code for _ in range(3)] == [200] * 3
    monkeypatch.setattr(Exchange, "find", lambda *_, **__: pytest.fail("the database was asked"))
    answer = limited.get(path, cache_control="no-cache")
    assert (answer.status_code, answer.json["error"]) == (429, "too_many_requests")


def test_behind_a_proxy_pages_are_cached_by_the_forwarded_host(
    make_app: Callable[..., Application], ada: Caller
) -> None:
    app = make_app(trusted_proxies=1)
    follow(app, ada)
    caller = Caller(app, ada.key)
    path = f"/documents?limit=1&ids={new_document(caller)},{new_document(caller)}"
    for host in ("one.example", "two.example"):
        headers = {"X-API-Key": ada.key or "", "X-Forwarded-Host": host, "X-Forwarded-Proto": "https"}
        cache_comparison.by_flask(app, path, headers)
        hit = app.response_cache.lookup(EnvironBuilder(path, headers=[*headers.items()]).get_environ())
        assert hit is not None
        assert dict(hit.headers)["x-next"].startswith(f"https://{host}/documents?")


def test_only_counters_in_memory_can_be_asked_without_waiting(make_app: Callable[..., Application]) -> None:
    limit = policies("read=3/hour,write=3/hour")
    assert make_app(rate_limit=limit).response_cache.is_immediate
    redis = make_app(rate_limit=limit, rate_limit_storage="redis://127.0.0.1:1")
    assert not redis.response_cache.is_immediate


def test_simultaneous_requests_for_a_page_share_one_read(ada: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each response has headers of its own."""
    ada.new_document()
    path, read, may_read = "/documents?limit=3", Index.range, Event()
    reads: list[Any] = []
    waits: list[float | None] = []

    def slow(*args: Any) -> Any:
        reads.append(args)
        may_read.wait()
        return read(*args)

    def count_wait() -> float | None:
        """Count a request that joins a read: it looks up its remaining time before it waits."""
        waits.append(remaining())
        return waits[-1]

    def send(number: int) -> TestResponse:
        headers = {"X-API-Key": ada.key or "", "Cache-Control": "no-cache", "X-Request-ID": f"r{number}"}
        return Client(ada.app).get(path, headers=headers)

    monkeypatch.setattr(Index, "range", slow)
    monkeypatch.setattr(single_flight, "remaining", count_wait)
    with ThreadPoolExecutor(6) as pool:
        sending = [pool.submit(send, number) for number in range(6)]
        try:
            wait_until(lambda: len(waits) == 5, "five requests that wait for the first")
        finally:
            may_read.set()
        answers = [each.result() for each in sending]
    assert {(answer.status_code, answer.data, answer.headers["ETag"]) for answer in answers} == {
        (200, answers[0].data, answers[0].headers["ETag"])
    }
    assert [answer.headers["X-Request-ID"] for answer in answers] == [f"r{number}" for number in range(6)]
    # A request shares the read of the first one if that has not begun yet, otherwise the next read.
    assert len(reads) <= 2
