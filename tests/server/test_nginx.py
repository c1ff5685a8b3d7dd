"""The service behind nginx, with the configuration that the project recommends."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from email.message import Message
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from app.settings import Settings
from tests.ports import free_port
from tests.server import nginx
from tests.server.events import EventClient
from tests.server.live import Live
from tests.server.raw import RawClient, head
from tests.waiting import MAX_WAIT_SECONDS

needs_nginx = pytest.mark.skipif(nginx.NGINX is None, reason="there is no nginx here")
pytestmark = [needs_nginx]

CLIENTS, POSTS_EACH = 8, 40


class Answer(NamedTuple):
    """A response, with its body decompressed."""

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


class Client(AbstractContextManager["Client"]):
    """A connection through nginx."""

    def __init__(self, address: str, key: str) -> None:
        self.address, self._key = address, key
        self._connection = HTTPConnection(address, timeout=MAX_WAIT_SECONDS)

    def request(self, method: str, path: str, value: object = None, **headers: str) -> Answer:
        """Send a request to a path or an absolute URL, which must be on this address, and accept gzip."""
        parts = urlsplit(path)
        assert parts.netloc in ("", self.address)
        target = parts._replace(scheme="", netloc="").geturl()
        own = {"X-API-Key": self._key, "Content-Type": "application/json", "Accept-Encoding": "gzip"}
        body = None if value is None else json.dumps(value)
        sent = {**own, **{name.replace("_", "-"): text for name, text in headers.items()}}
        self._connection.request(method, target, body, sent)
        response = self._connection.getresponse()
        content = response.read()
        is_compressed = response.headers.get("Content-Encoding") == "gzip" and content
        return Answer(response.status, response.headers, gzip.decompress(content) if is_compressed else content)

    def __exit__(self, *_: object) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """The settings that the configuration asks for, and time for large batches on a busy machine."""
    return {"DREAMSCRIPT_TRUSTED_PROXIES": "1", "DREAMSCRIPT_DEADLINE": "60"}


@pytest.fixture(scope="module")
def address(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of nginx in front of the service."""
    with nginx.running(tmp_path_factory.mktemp("nginx"), live.address) as address:
        yield address


@pytest.fixture
def client(address: str, key: str) -> Iterator[Client]:
    """A client with a key."""
    with Client(address, key) as client:
        yield client


def test_pages_are_walked_under_the_prefix_and_compressed(client: Client) -> None:
    ids = [client.request("POST", "/api/documents", {"title": f"{n} " + "x" * 290}).json["id"] for n in range(30)]
    url, walked = "/api/documents?limit=7", list[int]()
    while url:
        page = client.request("GET", url)
        assert page.headers["Content-Encoding"] == "gzip" or len(page.json) < 4
        walked += [document["id"] for document in page.json]
        url = page.headers.get("x-next", "")
        assert url.startswith(f"http://{client.address}/api/documents?limit=7&cursor=") or not url
    assert [each for each in walked if each in set(ids)] == ids


def test_the_tag_of_a_compressed_response_works(client: Client) -> None:
    created = client.request("POST", "/api/documents", {"title": "Tagged", "content": "x" * 5_000})
    path = created.headers["Location"]
    read = client.request("GET", path)
    assert (read.headers["Content-Encoding"], read.headers["ETag"][:2]) == ("gzip", "W/")
    assert client.request("GET", path, If_None_Match=read.headers["ETag"]).status == 304
    updated = client.request("PUT", path, {"title": "Updated"}, If_Match=read.headers["ETag"])
    assert updated.status == 200
    assert client.request("PUT", path, {"title": "Late"}, If_Match=read.headers["ETag"]).status == 412


def test_location_leads_back(client: Client) -> None:
    created = client.request("POST", "/api/documents", {"title": "Found again"})
    assert created.headers["Location"] == f"http://{client.address}/api/documents/{created.json['id']}"
    copied = client.request("COPY", created.headers["Location"])
    assert client.request("GET", copied.headers["Location"]).json["title"] == "Found again"


def test_the_links_of_the_service_lead_back(client: Client) -> None:
    root = client.request("GET", "/api/", Accept="application/json").json
    assert client.request("GET", "/api").headers["Location"] == "/api/"
    # The key may not read projects.
    statuses = {name: client.request("GET", url).status for name, url in root["links"].items()}
    assert statuses == {name: 403 if name == "projects" else 200 for name in statuses}
    assert [server["url"] for server in client.request("GET", root["links"]["openapi"]).json["servers"]] == ["/api"]
    page = client.request("GET", root["links"]["reference"]).body.decode()
    assets = re.findall(r'(?:href|src)="(reference/[^"]+)"', page)
    assert len(assets) >= 4
    assert all(client.request("GET", f"/api/{asset}").status == 200 for asset in assets)


def test_no_client_can_forge_the_headers_of_the_proxy(client: Client) -> None:
    forged = {
        "X_Forwarded_Port": "9",
        "X_Forwarded_Prefix": "/evil",
        "X_Forwarded_Host": "evil",
        "X_Forwarded_Proto": "x",
    }
    root = client.request("GET", "/api/", Accept="application/json", **forged).json
    assert root["links"]["documents"] == f"http://{client.address}/api/documents"


@pytest.mark.parametrize("count", [2, 10])
def test_a_large_batch_passes(client: Client, count: int) -> None:
    operations = [{"op": "create", "value": {"title": "Large", "content": "x" * 800_000}} for _ in range(count)]
    answer = client.request("POST", "/api/documents/batch", {"operations": operations})
    assert (answer.status, {outcome["status"] for outcome in answer.json["outcomes"]}) == (200, {201})


def test_a_body_that_is_too_large_is_refused_in_json(client: Client) -> None:
    for path, size in (("/api/documents", 2_000_000), ("/api/documents/batch", 8_500_000)):
        refused = client.request("POST", path, {"operations": "x" * size})
        assert (refused.status, refused.json["error"]) == (413, "too_large")
    refused = client.request("POST", "/api/documents/batch", {"operations": "x" * 9_500_000})
    assert (refused.status, refused.json["error"]) == (413, "too_large")
    assert refused.headers["Access-Control-Allow-Origin"] == "*"


def test_posts_over_idle_connections_all_arrive(address: str, key: str) -> None:
    """The connections of nginx to the service are idle between requests, in a different pattern for each client."""

    def post(number: int) -> Counter[int]:
        values = ({"title": f"{number}, {each}"} for each in range(POSTS_EACH))
        with Client(address, key) as client:
            return Counter(client.request("POST", "/api/documents", value).status for value in values)

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(post, range(CLIENTS)), Counter[int]()) == {201: CLIENTS * POSTS_EACH}


def test_events_arrive_as_they_happen(client: Client, live: Live, key: str) -> None:
    """nginx neither buffers nor compresses them, and a client that leaves is not kept by the service."""
    with EventClient(live, key, "since=now", client.address, "/api/changes", Accept_Encoding="gzip") as stream:
        assert stream.next().name == "ready"
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert "Content-Encoding" not in stream.response.headers
        for _ in range(3):
            created = client.request("POST", "/api/documents", {"title": "Streamed"})
            assert stream.until(created.json["id"]).name == "document.changed"
    since = client.request("GET", "/api/changes?since=now").json["next"]
    assert client.request("GET", f"/api/changes?since={since}&feed=longpoll&timeout=1").json["changes"] == []


def test_nginx_closes_idle_connections_before_the_service_does() -> None:
    [seconds] = re.findall(r"keepalive_timeout ([0-9]+)s;", nginx.SITE.read_text())
    assert int(seconds) < Settings().keep_alive


def test_doubled_slashes_stay_doubled(client: Client) -> None:
    assert [client.request("GET", path).status for path in ("/api//documents", "/api/documents//1")] == [404, 404]


def test_http_1_0_needs_no_host(address: str, key: str, live: Live) -> None:
    request = head("GET", "/api/documents?limit=1", f"X-API-Key: {key}", version="1.0", host=None)
    with RawClient(live, address) as raw:
        raw.sendall(request)
        assert raw.response().status == 200


def test_a_service_that_is_down_is_a_503_in_json(key: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, nowhere = tmp_path_factory.mktemp("alone"), f"127.0.0.1:{free_port()}"
    with nginx.running(folder, nowhere) as address, Client(address, key) as client:
        answer = client.request("GET", "/api/documents")
    assert (answer.status, answer.json["error"], answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert set(answer.json) == {"error", "reason", "request_id"}
