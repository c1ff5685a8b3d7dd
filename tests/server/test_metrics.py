"""The metrics of a running service: those of all workers, each answer once, and none lost with a worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.api.conftest import deployed_settings
from tests.deploy.queries import queries
from tests.samples import Scrape
from tests.server.live import SECRET, Live, create_key, environment
from tests.server.raw import RawClient
from tests.waiting import wait_until

WORKERS = 2
GARBAGE = b"\x16\x03\x01 not HTTP\r\n\r\n"


class Monitor:
    """Scrapes a service, over a new connection each time, so that any worker may answer."""

    def __init__(self, live: Live, key: str) -> None:
        self._live, self._key = live, key

    def scrape(self) -> Scrape:
        """Return all metrics."""
        connection = self._live.connect()
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {self._key}"})
        answer = connection.getresponse()
        assert answer.status == 200
        text = answer.read().decode()
        connection.close()
        return Scrape(text)

    def answers(self, **labels: str) -> int:
        """Return how many requests with these labels were answered, scrapes left out."""
        scrape = self.scrape()
        scrapes = scrape.total("dreamscript_requests_total", **{"route": "/metrics"} | labels)
        total = scrape.total("dreamscript_requests_total", **labels)
        return int(total if "route" in labels else total - scrapes)


@pytest.fixture(scope="module")
def service(server_url: str, module_prefix: str) -> Iterator[tuple[Live, str]]:
    """A service with two workers, and a key with every scope."""
    settings = deployed_settings(server_url, module_prefix)
    environ = environment(
        COUCHDB_URL=settings.couchdb_url,
        DREAMSCRIPT_DATABASE_PREFIX=settings.prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        DREAMSCRIPT_WORKERS=str(WORKERS),
        DREAMSCRIPT_RATE_LIMIT="off",
        DREAMSCRIPT_LOG="json",
    )
    scopes = ("documents:read", "documents:write", "operate")
    key = create_key(environ, scopes)["key"]
    with Live("serve", environ) as live:
        yield live, key


@pytest.fixture
def monitor(service: tuple[Live, str]) -> Monitor:
    """The metrics of the service, with all workers running."""
    monitor = Monitor(*service)
    wait_until(lambda: monitor.scrape().total("dreamscript_worker_up") == WORKERS)
    return monitor


def send(live: Live, content: bytes, responses: int) -> None:
    """Send bytes, read some responses, and leave."""
    with RawClient(live) as client:
        client.sendall(content)
        for _ in range(responses):
            client.response()


def test_every_answer_is_counted_once_whoever_gives_it(service: tuple[Live, str], monitor: Monitor) -> None:
    live, key = service
    status, document = live.request("POST", "/documents", key, {"title": "x"})
    assert status == 201
    path = f"/documents/{document['id']}"
    before = monitor.answers()

    for _ in range(20):
        assert live.request("GET", path, key)[0] == 200
    fields = f"Host: x\r\nX-API-Key: {key}\r\n".encode()
    read = b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), fields)
    send(live, read * 5, 5)
    send(live, b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 1)
    send(live, b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 1)
    send(live, b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 1)
    send(live, b"POST /documents HTTP/1.1\r\n%bContent-Length: 99999999\r\n\r\n" % fields, 1)
    send(live, GARBAGE, 1)
    send(live, read + GARBAGE, 2)
    assert monitor.answers() == before + 20 + 5 + 4 + 1 + 2


def test_a_client_that_leaves_in_the_middle_of_its_body_is_counted_once(
    service: tuple[Live, str], monitor: Monitor
) -> None:
    live, key = service
    before = monitor.answers()
    head = f"POST /documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    send(live, f"{head}Content-Length: 99\r\n\r\n{{".encode(), 0)
    wait_until(lambda: monitor.answers() > before)
    assert monitor.answers() == before + 1


@pytest.mark.parametrize("earlier", [b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_body_that_is_not_http_is_counted_once(service: tuple[Live, str], monitor: Monitor, earlier: bytes) -> None:
    live, key = service
    before = monitor.answers()
    head = f"POST /documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    send(live, earlier + f"{head}Transfer-Encoding: chunked\r\n\r\nno length\r\n".encode(), 1 + bool(earlier))
    wait_until(lambda: monitor.answers() == before + 1 + bool(earlier))


def test_bytes_that_are_not_http_have_a_series(service: tuple[Live, str], monitor: Monitor) -> None:
    before = monitor.answers(route="none", method="other", status="400")
    send(service[0], GARBAGE, 1)
    assert monitor.answers(route="none", method="other", status="400") == before + 1


def test_a_request_in_flight_is_reported(service: tuple[Live, str], monitor: Monitor) -> None:
    """Each worker may also report one scrape."""
    live, key = service
    wait_until(lambda: monitor.scrape().total("dreamscript_requests_in_flight") <= WORKERS)
    head = f"POST /documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    with ExitStack() as clients:
        for _ in range(WORKERS + 1):
            clients.enter_context(RawClient(live)).sendall(f"{head}Content-Length: 99\r\n\r\n{{".encode())
        wait_until(lambda: monitor.scrape().total("dreamscript_requests_in_flight") > WORKERS)


def test_the_dashboard_and_the_alerts_name_served_metrics(monitor: Monitor) -> None:
    families = {family.name: family.type for family in monitor.scrape().families}
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    served = {name + suffix for name, kind in families.items() for suffix in suffixes[kind]}
    named = {selector.name for query in queries() for selector in query.selectors}
    assert named - served == {"up"}


def test_counters_go_on_when_a_worker_is_killed(service: tuple[Live, str], monitor: Monitor) -> None:
    live, key = service
    before = monitor.scrape()
    pid = next(event["pid"] for event in reversed(live.events()) if event["message"] == "worker started")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: restarts(live, key) == before.total("dreamscript_worker_restarts_total") + 1)
    after = Monitor(live, key).scrape()
    fallen = [
        (sample.name, sample.labels)
        for family in before.families
        if family.type in ("counter", "histogram")
        for sample in family.samples
        if after.total(sample.name, **sample.labels) < sample.value
    ]
    assert fallen == []
    wait_until(lambda: Monitor(live, key).scrape().total("dreamscript_worker_up") == WORKERS)


def restarts(live: Live, key: str) -> float:
    """Return the number of restarts, -1 while a connection reached the worker that was killed."""
    try:
        return Monitor(live, key).scrape().total("dreamscript_worker_restarts_total")
    except (ConnectionError, EOFError):
        return -1
