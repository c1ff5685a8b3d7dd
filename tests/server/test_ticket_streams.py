"""A ticket opens a stream of events without a key, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from app.domain.resources import now
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.server.events import EventClient
from tests.server.live import Live, command, create_key


class Desk:
    """Gets tickets, and opens streams with them."""

    def __init__(self, live: Live, key: str) -> None:
        self.live, self.key = live, key

    def ticket(self, **parameters: object) -> str:
        """Return a new ticket."""
        status, body = self.live.request("POST", "/changes/tickets", self.key, parameters)
        assert status == 201, body
        text: str = body["ticket"]
        return text

    def stream(self, ticket: str, more: str = "", key: str | None = None, **headers: str) -> EventClient:
        """Open a stream."""
        return EventClient(self.live, key, f"ticket={ticket}{more}", **headers)

    def status(self, ticket: str, more: str = "", key: str | None = None, **headers: str) -> int:
        """Return the status of the answer."""
        with self.stream(ticket, more, key, **headers) as client:
            return client.response.status

    def create(self, title: str) -> int:
        """Create a document."""
        document_id: int = self.live.request("POST", "/documents", self.key, {"title": title})[1]["id"]
        return document_id


@pytest.fixture
def desk(live: Live, key: str) -> Desk:
    return Desk(live, key)


@pytest.fixture(scope="module")
def past(environ: dict[str, str]) -> Iterator[Services]:
    """The services of two minutes ago, for tickets that are not new any more."""
    services = build_services(Settings.parse(environ), now=lambda: now() - timedelta(minutes=2))
    with closing(services):
        yield services


@pytest.fixture
def old_ticket(past: Services, key: str) -> str:
    """A ticket that was issued two minutes ago."""
    return past.change_tickets.issue(past.authenticator.authenticate(key), {"since": "now"})


def test_the_url_is_a_stream_with_the_parameters_of_its_ticket(live: Live, desk: Desk) -> None:
    _, body = live.request(
        "POST", "/changes/tickets", desk.key, {"type": "document", "include": "value", "since": "now"}
    )
    url = urlsplit(body["url"])
    assert (url.netloc, url.path) == (live.address, "/changes")
    # Neither a key nor an Accept header.
    with EventClient(live, None, url.query, Accept="*/*") as client:
        assert client.response.headers["Content-Type"] == "text/event-stream"
        assert client.response.headers["Referrer-Policy"] == "no-referrer"
        assert client.next().name == "ready"
        document_id = desk.create("By ticket")
        event = client.until(document_id)
        assert (event.name, event.data["value"]["id"]) == ("document.changed", document_id)
        # The id is a `next` of the key, too, which a client stores.
        _, later = live.request("GET", f"/changes?type=document&since={event.id}", desk.key)
        assert (later["changes"], later["caught_up"]) == ([], True)


def test_a_stream_continues_after_the_last_event(desk: Desk) -> None:
    ticket = desk.ticket(include="value", since="now")
    with desk.stream(ticket) as client:
        assert client.next().name == "ready"
        event_id = client.until(desk.create("One")).id
    document_id = desk.create("Two")
    assert event_id
    with desk.stream(ticket, Last_Event_ID=event_id) as client:
        assert client.next().name == "ready"
        assert client.until(document_id).name == "document.changed"


def test_after_a_minute_only_an_id_of_its_own_stream_opens_it(past: Services, desk: Desk, old_ticket: str) -> None:
    ticket, other = (past.change_tickets._read(text) for text in (old_ticket, desk.ticket()))
    _, answer = desk.live.request("GET", "/changes?since=now", desk.key)
    binding = (ticket.principal, None, None)
    checkpoint = past.change_cursors.read(answer["next"], *binding)

    def event_id(ticket_id: str | None) -> str:
        return past.change_cursors.write(dataclasses.replace(checkpoint, ticket=ticket_id), *binding)

    assert desk.status(old_ticket) == 401
    for foreign in (answer["next"], event_id(other.id), event_id(None), "x"):
        assert desk.status(old_ticket, Last_Event_ID=foreign) == 401
    with desk.stream(old_ticket, Last_Event_ID=event_id(ticket.id)) as client:
        event = client.next()
        assert event.name == "ready"
    # The ids of the continued stream belong to its ticket as well.
    assert event.id
    assert desk.status(old_ticket, Last_Event_ID=event.id) == 200


def test_every_refusal_of_a_ticket_is_the_401_of_a_missing_key(live: Live, desk: Desk, old_ticket: str) -> None:
    def essence(query: str) -> tuple[int, str, str]:
        with EventClient(live, None, query, X_Request_ID="same") as client:
            headers = client.response.headers
            return client.response.status, headers["WWW-Authenticate"], client.response.read().decode()

    missing = essence("feed=eventsource")
    assert missing[0] == 401
    ticket = desk.ticket()
    for query in (f"ticket={old_ticket}", "ticket=", "ticket=x", f"ticket={ticket}x", f"ticket={ticket}&feed=poll"):
        assert essence(query) == missing


@pytest.mark.parametrize(
    ("more", "with_key", "status"),
    [
        ("&feed=eventsource", False, 200),
        ("&type=document", False, 200),
        ("&feed=longpoll", False, 401),
        ("", True, 400),
        ("&type=project", False, 400),
        ("&include=value", False, 400),
        ("&since=now", False, 400),
        ("&limit=1", False, 400),
        ("&ticket=x", False, 400),
        ("&nonsense=1", False, 400),
    ],
)
def test_a_ticket_is_good_for_its_stream_alone(desk: Desk, more: str, with_key: bool, status: int) -> None:
    ticket = desk.ticket(type="document")
    assert desk.status(ticket, more, desk.key if with_key else None) == status


def test_a_ticket_opens_no_other_route_and_no_other_type(live: Live, desk: Desk) -> None:
    ticket = desk.ticket()
    assert live.request("GET", f"/documents?ticket={ticket}")[0] == 401
    assert live.request("POST", f"/changes/tickets?ticket={ticket}", None, {})[0] == 401
    assert live.request("POST", f"/changes?ticket={ticket}", None, {})[0] == 405
    assert desk.status(ticket, Accept="application/json") == 406
    with closing(live.connect()) as connection:
        connection.request("HEAD", f"/changes?ticket={ticket}")
        assert connection.getresponse().status == 200


def test_a_ticket_ends_with_its_key(environ: dict[str, str], live: Live) -> None:
    created = create_key(environ, ["documents:read"])
    desk = Desk(live, created["key"])
    ticket = desk.ticket(since="now")
    with desk.stream(ticket) as client:
        assert client.next().name == "ready"
        assert command("keys", "revoke", str(created["id"]), environ=environ).returncode == 0
        # The stream ends within 5 s.
        assert client.rest() == []
    assert desk.status(ticket) == 401


def test_no_ticket_is_in_the_log(live: Live, desk: Desk) -> None:
    ticket = desk.ticket(since="now")
    with desk.stream(ticket, X_Request_ID="look-for-me") as client:
        assert client.next().name == "ready"
    live.request("GET", f"/changes/{ticket}")
    live.wait_for(lambda: any("look-for-me" in line for line in live.logged))
    live.request("GET", "/livez")
    assert not [line for line in live.logged if ticket[-20:] in line or ticket[:40] in line]
