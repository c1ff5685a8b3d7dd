"""Pages of other origins in a real browser: they use everything where they are allowed, and read nothing elsewhere."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.domain.resources import now
from app.settings import Settings
from app.wiring import build_services
from tests.api.browser import CHROMIUM, Browser
from tests.server.live import Live
from tests.server.relay import Relay

pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")]

# Sends a request, and returns everything that the page can read of the response.
SEND = """
async (url, method, headers, value) => {
  const body = value === undefined ? undefined : JSON.stringify(value);
  try {
    const answer = await fetch(url, {method, headers, body, cache: "no-store"});
    const text = await answer.text();
    return {status: answer.status, headers: Object.fromEntries(answer.headers), body: text ? JSON.parse(text) : null};
  } catch (error) {
    return {failure: `${error}`};
  }
}
"""
BLOCKED = {"failure": "TypeError: Failed to fetch"}


class BlankPage(BaseHTTPRequestHandler):
    """Answer each request with an empty page."""

    def do_GET(self) -> None:
        """Send it."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def blank_page() -> Iterator[str]:
    """Serve an empty page, and yield its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BlankPage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Page:
    """A page of one origin that calls one service."""

    def __init__(self, browser: Browser, origin: str, address: str, key: str) -> None:
        self._browser, self._base, self._key = browser, f"http://{address}", key
        browser.call("Page.navigate", url=origin)
        browser.wait_for(f"location.origin === {json.dumps(origin)} && document.readyState === 'complete'")

    def send(self, method: str, url: str, value: object = None, headers: Mapping[str, str] | None = None) -> Any:
        """Return the parts of the response that the page can read; ``headers`` come on top of the key."""
        content = {} if value is None else {"Content-Type": "application/json"}
        sent = {"X-API-Key": self._key, **content, **(headers or {})}
        target = url if url.startswith("http") else self._base + url
        given = [target, method, sent, *([] if value is None else [value])]
        return self._browser.evaluate(f"({SEND})(...{json.dumps(given)})")


@pytest.fixture(scope="module")
def origins() -> Iterator[tuple[str, str]]:
    """The origins of two pages."""
    with blank_page() as allowed, blank_page() as other:
        yield allowed, other


@pytest.fixture(scope="module")
def listed(environ: dict[str, str], origins: tuple[str, str]) -> Iterator[Live]:
    """A service that allows the first of the two origins."""
    with Live("serve", {**environ, "DREAMSCRIPT_CORS_ORIGINS": f"https://editor.example,{origins[0]}"}) as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser."""
    with Browser(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(params=["any origin", "a list"])
def page(
    request: pytest.FixtureRequest, browser: Browser, origins: tuple[str, str], live: Live, listed: Live, key: str
) -> Page:
    """A page that may call the service."""
    return Page(browser, origins[0], (live if request.param == "any origin" else listed).address, key)


def test_a_page_creates_updates_and_copies(page: Page) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8), "X-Request-ID": "p"}
    created = page.send("POST", "/documents", {"title": "From a page"}, headers)
    assert (created["status"], created["headers"]["x-request-id"]) == (201, "p")
    path, tag = created["headers"]["location"], created["headers"]["etag"]
    updated = page.send("PUT", path, {"title": "Updated"}, {"If-Match": tag})
    assert (updated["status"], updated["body"]["title"]) == (200, "Updated")
    assert page.send("PATCH", path, {"title": "Patched"}, {"If-Match": updated["headers"]["etag"]})["status"] == 200
    copied = page.send("COPY", path)
    assert (copied["status"], copied["body"]["title"]) == (201, "Patched")
    assert page.send("DELETE", copied["headers"]["location"])["status"] == 204
    replayed = page.send("POST", "/documents", {"title": "From a page"}, headers)
    assert (replayed["status"], replayed["headers"]["idempotency-replayed"]) == (201, "true")


def test_a_page_follows_x_next(page: Page) -> None:
    for number in range(3):
        assert page.send("POST", "/documents", {"title": f"{number}"})["status"] == 201
    first = page.send("GET", "/documents?limit=2")
    second = page.send("GET", first["headers"]["x-next"])
    assert "rel=" in first["headers"]["link"]
    assert first["body"][-1]["id"] < second["body"][0]["id"]


def test_a_page_reads_errors_and_their_headers(page: Page) -> None:
    created = page.send("POST", "/documents", {"title": "One"})
    path, tag = created["headers"]["location"], created["headers"]["etag"]
    stale = page.send("PUT", path, {"title": "Two"}, {"If-Match": '"1-0"'})
    assert (stale["status"], stale["body"]["error"], stale["headers"]["etag"]) == (412, "precondition_failed", tag)
    for method, url, status in (
        ("GET", "/documents?limit=0", 400),
        ("GET", "/documents/999999", 404),
        ("GET", "/no/such/path", 404),
        ("DELETE", "/documents", 405),
        ("GET", "/projects", 403),
    ):
        refused = page.send(method, url)
        assert (refused["status"], refused["body"]["request_id"]) == (status, refused["headers"]["x-request-id"])
    assert page.send("GET", "/documents", headers={"X-API-Key": "wrong"})["status"] == 401
    unpatched = page.send("PATCH", path, {"title": "Two"}, {"Content-Type": "text/plain"})
    assert (unpatched["status"], "accept-patch" in unpatched["headers"]) == (415, True)
    assert page.send("POST", "/documents", {"title": "x", "content": "x" * 2**21})["status"] == 413


def test_a_page_is_spared_unchanged_responses(page: Page) -> None:
    created = page.send("POST", "/documents", {"title": "Unchanged"})
    path, tag = created["headers"]["location"], created["headers"]["etag"]
    for _ in range(3):
        spared = page.send("GET", path, headers={"If-None-Match": tag})
        assert (spared["status"], spared["headers"]["etag"]) == (304, tag)
        read = page.send("GET", path)
        assert (read["status"], read["headers"]["etag"], "last-modified" in read["headers"]) == (200, tag, True)


def test_a_page_may_send_a_bearer_token(page: Page, key: str) -> None:
    bearer = {"Authorization": f"Bearer {key}", "X-API-Key": ""}
    assert page.send("GET", "/documents?limit=1", headers=bearer)["status"] == 200
    assert page.send("GET", "/livez")["body"] == {"status": "ok"}


def test_a_page_sends_no_other_headers(page: Page) -> None:
    assert page.send("GET", "/livez", headers={"X-Other": "1"}) == BLOCKED


def test_a_page_of_another_origin_reads_nothing(
    browser: Browser, origins: tuple[str, str], listed: Live, key: str
) -> None:
    page = Page(browser, origins[1], listed.address, key)
    for method, url in (("GET", "/documents"), ("GET", "/nope"), ("COPY", "/documents/1"), ("DELETE", "/documents/1")):
        assert page.send(method, url) == BLOCKED
    assert page.send("POST", "/documents", {"title": "Never"}) == BLOCKED
    # Without a header that needs permission there is no preflight request, and the response is withheld.
    assert (
        browser.evaluate(f"fetch('http://{listed.address}/livez').catch(error => `${{error}}`)") == BLOCKED["failure"]
    )
    titles = [each["title"] for each in listed.request("GET", "/documents?limit=1000", key)[1]]
    assert "Never" not in titles


# Opens an EventSource with a ticket, and keeps its events in the page.
LISTEN = """
(url) => {
  window.events = [];
  window.source = new EventSource(url);
  for (const name of ["ready", "document.changed", "error"])
    source.addEventListener(name, ({type, data, lastEventId}) => events.push({type, data, lastEventId}));
}
"""


def test_an_event_source_of_another_origin_continues_after_a_cut(
    browser: Browser, origins: tuple[str, str], live: Live, key: str
) -> None:
    with Relay(live.address) as relay:
        page = Page(browser, origins[0], relay.address, key)
        ticket = page.send("POST", "/changes/tickets", {"include": "value", "since": "now"})
        assert ticket["status"] == 201
        browser.evaluate(f"({LISTEN})({json.dumps(ticket['body']['url'])})")
        browser.wait_for("events.length === 1")
        page.send("POST", "/documents", {"title": "Before the cut"})
        before = browser.wait_for("events.find(({data}) => data?.includes('Before the cut'))")
        relay.cut()
        live.request("POST", "/documents", key, {"title": "During the cut"})
        browser.wait_for("events.find(({data}) => data?.includes('During the cut'))")
        events = browser.evaluate("source.close(), events")
        # The feed may be behind, and report changes of earlier tests first.
        own = [event for event in events if event["type"] != "document.changed" or "the cut" in event["data"]]
        assert [event["type"] for event in own] == ["ready", "document.changed", "error", "ready", "document.changed"]
        assert f"last-event-id: {before['lastEventId']}\r\n".lower() in relay.received.decode().lower()


def test_an_event_source_is_refused_after_a_minute(
    browser: Browser, origins: tuple[str, str], environ: dict[str, str], live: Live, key: str
) -> None:
    with closing(build_services(Settings.parse(environ), now=lambda: now() - timedelta(minutes=2))) as past:
        ticket = past.change_tickets.issue(past.authenticator.authenticate(key), {})
    Page(browser, origins[0], live.address, key)
    browser.evaluate(f"({LISTEN})('http://{live.address}/changes?ticket={ticket}')")
    browser.wait_for("source.readyState === EventSource.CLOSED")
    assert [event["type"] for event in browser.evaluate("events")] == ["error"]
