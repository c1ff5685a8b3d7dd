"""Event streams of a running service: events as they happen, and how they begin, continue and end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPException

import pytest

from tests.server.clients import waiting_clients
from tests.server.events import EventClient
from tests.server.live import Live, command, create_key
from tests.server.raw import RawClient, head
from tests.waiting import wait_until


@pytest.fixture
def since(live: Live, key: str) -> str:
    """The present place."""
    _, answer = live.request("GET", "/changes?since=now", key)
    text: str = answer["next"]
    return text


@pytest.fixture
def stream(live: Live, key: str, since: str) -> Iterator[EventClient]:
    """A stream from the present on, which is ready."""
    with EventClient(live, key, f"since={since}&include=value") as client:
        assert client.next().name == "ready"
        yield client


def create(live: Live, key: str, title: str, **members: object) -> int:
    status, document = live.request("POST", "/documents", key, {"title": title, **members})
    assert status == 201
    document_id: int = document["id"]
    return document_id


def test_a_stream_begins_with_retry_and_ready(live: Live, key: str) -> None:
    with EventClient(live, key, "since=now") as client:
        event = client.next()
        headers = client.response.headers
        assert (event.name, client.response.status) == ("ready", 200)
        assert event.id
        assert 1000 <= client.retry_ms <= 3000
        assert headers["Content-Type"] == "text/event-stream"
        assert headers["Cache-Control"] == "no-cache, no-transform"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Vary"] == "X-API-Key, Authorization, Accept"
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Length" not in headers


def test_changes_arrive_as_they_happen(live: Live, key: str, stream: EventClient) -> None:
    document_id = create(live, key, "New")
    created = stream.until(document_id)
    value = {"id": document_id, "title": "New"}
    assert created.name == "document.changed"
    assert created.data == {"type": "document", "id": document_id, "etag": created.data["etag"], "value": value}
    assert created.id
    live.request("DELETE", f"/documents/{document_id}", key)
    deleted = stream.next()
    assert (deleted.name, deleted.data["id"], deleted.data["deleted"]) == ("document.deleted", document_id, True)


def test_a_stream_without_since_is_a_first_sync(live: Live, key: str) -> None:
    document_id = create(live, key, "Before")
    with EventClient(live, key, "limit=3") as client:
        ids, event = set(), client.next()
        assert event.name == "ready"
        while document_id not in ids:
            ids.add(client.next().data["id"])
        created = create(live, key, "After")
        while created not in ids:
            ids.add(client.next().data["id"])


def test_only_the_last_event_of_a_batch_has_an_id(live: Live, key: str, since: str) -> None:
    ids = [create(live, key, "Batch") for _ in range(3)]
    with EventClient(live, key, f"since={since}") as client:
        events = [client.next() for _ in range(4)]
    assert sorted(each.data["id"] for each in events[1:]) == ids
    assert [bool(each.id) for each in events] == [True, False, False, True]


def test_the_last_event_id_wins_over_since(live: Live, key: str, since: str) -> None:
    create(live, key, "Seen")
    with EventClient(live, key, f"since={since}") as client:
        last = [client.next(), client.next()][-1]
    second = create(live, key, "Missed")
    with EventClient(live, key, f"since={since}", Last_Event_ID=last.id or "") as client:
        assert [client.next().name, client.next().data["id"]] == ["ready", second]
    with EventClient(live, key, "since=x", Last_Event_ID=last.id or "") as client:
        assert client.response.status == 200
    with EventClient(live, key, f"since={since}", Last_Event_ID="x") as client:
        assert client.response.status == 400


@pytest.mark.parametrize(
    ("query", "accept", "status", "media_type"),
    [
        ("feed=eventsource", "*/*", 200, "text/event-stream"),
        ("", "application/json;q=0.5, text/event-stream", 200, "text/event-stream"),
        ("", "*/*", 200, "application/json"),
        ("feed=poll", "text/event-stream", 406, "application/json"),
        ("feed=eventsource", "application/json", 406, "application/json"),
    ],
)
def test_the_feed_and_the_accept_header_choose(
    live: Live, key: str, query: str, accept: str, status: int, media_type: str
) -> None:
    with EventClient(live, key, f"since=now&{query}", Accept=accept) as client:
        assert (client.response.status, client.response.headers["Content-Type"]) == (status, media_type)


def test_head_never_waits(live: Live, key: str) -> None:
    connection = live.connect()
    for feed in ("eventsource", "longpoll"):
        connection.request("HEAD", f"/changes?since=now&feed={feed}", headers={"X-API-Key": key})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"")
        assert ("Content-Length" in response.headers) == (feed == "longpoll")
    connection.close()


def test_a_stream_lasts_although_its_request_has_a_body(live: Live, key: str) -> None:
    request = head("GET", "/changes?since=now&feed=eventsource", f"X-API-Key: {key}", "Content-Length: 2")
    with RawClient(live) as client:
        client.sendall(request + b"{}")
        received = b""
        while b"event: ready" not in received:
            received += client.recv(65_536)
        create(live, key, "With a body")
        while b"document.changed" not in received:
            received += client.recv(65_536)


def test_http_1_0_gets_a_stream_without_chunks(live: Live, key: str) -> None:
    request = head("GET", "/changes?since=now&feed=eventsource", f"X-API-Key: {key}", version="1.0")
    with RawClient(live) as client:
        client.sendall(request)
        received = b""
        while b"event: ready" not in received:
            received += client.recv(65_536)
        create(live, key, "For 1.0")
        while b"For 1.0" not in received and b"document.changed" not in received:
            received += client.recv(65_536)
    fields, _, body = received.partition(b"\r\n\r\n")
    assert b"chunked" not in fields.lower()
    assert b"connection: close" in fields.lower()
    assert body.startswith(b"retry: ")


def test_a_half_closed_client_goes_on(live: Live, key: str) -> None:

    request = head("GET", "/changes?since=now&feed=eventsource", f"X-API-Key: {key}", version="1.0")
    with RawClient(live) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while b"\n:\n" not in received:
            received += client.recv(65_536)
        create(live, key, "Half")
        while b"document.changed" not in received:
            received += client.recv(65_536)


def test_revocation_ends_a_stream(live: Live, environ: dict[str, str]) -> None:
    created = create_key(environ, ["documents:read"])
    with EventClient(live, created["key"], "since=now") as client:
        assert client.next().name == "ready"
        command("keys", "revoke", str(created["id"]), environ=environ)
        assert client.rest() == []


def test_a_place_of_another_feed_is_gone(live: Live, key: str, environ: dict[str, str], since: str) -> None:
    """A stream that is open ends as well, within seconds."""
    with EventClient(live, key, "since=now") as client:
        assert client.next().name == "ready"
        assert command("feeds", "renew", environ=environ).returncode == 0
        assert client.rest()[-1].name == "gone"
    with EventClient(live, key, f"since={since}") as client:
        [event] = client.rest()
        assert (client.response.status, event.name, event.id) == (200, "gone", None)
        assert event.data["error"] == "gone"


def workers(live: Live) -> list[int]:
    """Return the ids of the worker processes."""
    children = subprocess.run(["pgrep", "-P", str(live.pid)], capture_output=True, text=True, check=True)
    return [int(pid) for pid in children.stdout.split()]


def test_a_client_misses_nothing_when_workers_are_killed(live: Live, key: str, since: str) -> None:
    with EventClient(live, key, f"since={since}") as client:
        ids = [create(live, key, "Before")]
        client.until(ids[0])
        for pid in workers(live):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises((OSError, HTTPException, EOFError)):
            client.next()
    ids.append(create(live, key, "After"))
    with EventClient(live, key, f"since={since}", Last_Event_ID=client.last_id or "") as client:
        assert [client.next().name, client.next().data["id"]] == ["ready", ids[1]]


def test_sigterm_ends_streams_and_long_polls_at_once(environ: dict[str, str], key: str, operator: str) -> None:
    with Live("serve", environ) as own:
        _, first = own.request("GET", "/changes?since=now", key)
        connection = own.connect()
        path = f"/changes?since={first['next']}&feed=longpoll&timeout=60"
        with EventClient(own, key, "since=now") as client:
            assert client.next().name == "ready"
            connection.request("GET", path, headers={"X-API-Key": key})
            wait_until(lambda: waiting_clients(own, operator, kind="longpoll") == 1, "the long-poll waits")
            own.signal(signal.SIGTERM)
            assert client.rest() == []
            assert 1000 <= client.retry_ms <= 5000
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["changes"]) == (200, [])
        connection.close()
        assert own.wait() == 0
