"""Run the examples of docs/changes.md: commands, and clients that end with the items of their key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from app.domain.access import SCOPES
from app.services import Services
from tests.api.browser import Browser
from tests.api.conflicts import bring_versions
from tests.docs.blocks import Command, blocks, commands
from tests.docs.conftest import MakeReader, NewItem
from tests.docs.followers import (
    PAGE,
    Items,
    Store,
    follow_in_node,
    follow_in_python,
    keeping_up_in_chromium,
    keeping_up_in_python,
)
from tests.docs.reader import Reader
from tests.server.events import EventClient
from tests.server.live import Live, command, create_key
from tests.server.relay import Relay
from tests.waiting import wait_until

SETUP, IN_SHORT, WAITING, TICKET = [commands(block) for block in blocks(PAGE, "sh")]
Follow = Callable[[str, str, Store], Store]


@dataclass(frozen=True)
class Project:
    """A project, and a key that is limited to it."""

    live: Live
    number: int
    key: str

    def send(self, method: str, path: str, **members: Any) -> Any:
        """Send a write, and return the JSON of the answer."""
        status, value = self.live.request(method, path, self.key, members or None)
        assert status in (200, 201, 204), value
        return value

    def new_document(self, title: str) -> str:
        """Create a document in the project, and return its path."""
        created = self.send("POST", "/documents", title=title, project_id=self.number)
        return f"/documents/{created['id']}"

    def edit(self) -> None:
        """Create two documents, and change and delete others."""
        changed, deleted, _ = [self.new_document(title) for title in ("To be changed", "To be deleted", "To stay")]
        self.send("PATCH", changed, title="Changed")
        self.send("DELETE", deleted)

    @property
    def items(self) -> Items:
        """The items that the key may read, as a client should have them."""
        project = self.live.request("GET", f"/projects/{self.number}", self.key)[1]
        documents = self.live.request("GET", f"/projects/{self.number}/documents?limit=1000", self.key)[1]
        return {f"project:{self.number}": project, **{f"document:{each['id']}": each for each in documents}}


@pytest.fixture
def project(live: Live, environ: dict[str, str], new_item: NewItem) -> Project:
    """A project of this test alone."""
    number = new_item("projects", name="Analytics experiments")
    return Project(live, number, create_key(environ, SCOPES, "--project", str(number))["key"])


def reader_of(make_reader: MakeReader, project: Project, document: str) -> Reader:
    """Return a reader of the page after its first block."""
    values = {"1": str(project.number), "2": document, "3": document}
    reader = make_reader(values, project.key)
    for row in SETUP:
        reader.run(row)
    return reader


def test_the_commands_show_the_items_and_then_a_deletion(make_reader: MakeReader, project: Project) -> None:
    document = project.new_document("New analysis").rpartition("/")[2]
    reader = reader_of(make_reader, project, document)
    for row in IN_SHORT:
        reader.run(row)
    assert list(project.items) == [f"project:{project.number}"]
    assert "Yk2f0e…" in reader.values


def test_a_ticket_opens_a_stream(make_reader: MakeReader, project: Project) -> None:
    reader = reader_of(make_reader, project, "1")
    reader.run(TICKET[0])
    with EventClient(project.live, None, f"ticket={reader.values['ds_ticket_WyJ…']}") as client:
        event = next(event for event in iter(client.next, None) if event.name != "ready")
    assert (event.name, event.data["value"]) == ("project.changed", project.items[f"project:{project.number}"])


@contextmanager
def running(reader: Reader, row: Command) -> Iterator[subprocess.Popen[str]]:
    """Run a command that waits."""
    script = reader.adapted("".join(each.text for each in (*SETUP, row)))
    options: dict[str, Any] = {"cwd": reader.folder, "start_new_session": True}
    with subprocess.Popen(["bash", "-c", script], stdout=subprocess.PIPE, text=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def test_a_long_poll_answers_at_a_change(make_reader: MakeReader, project: Project) -> None:
    path = project.new_document("Watched")
    reader = reader_of(make_reader, project, path.rpartition("/")[2])
    with running(reader, WAITING[0]) as process:
        # The first change may come before the request, which waits only for those after it.
        wait_until(lambda: project.send("PATCH", path, title="Changed") and process.poll() is not None)
        assert process.stdout is not None
        [change] = json.load(process.stdout)["changes"]
    assert path == f"/documents/{change['id']}"


def test_a_stream_shows_a_change(make_reader: MakeReader, project: Project) -> None:
    path = project.new_document("Watched")
    reader = reader_of(make_reader, project, path.rpartition("/")[2])
    with running(reader, WAITING[1]) as process:
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if line == "event: ready\n":
                project.send("PATCH", path, title="Changed")
            if line.startswith('data: {"type"'):
                break
    reader.check(WAITING[1].output, printed)


@pytest.mark.parametrize("follow", [follow_in_python, follow_in_node])
def test_a_client_that_follows_has_the_items(
    live: Live, environ: dict[str, str], project: Project, follow: Follow
) -> None:
    url = f"http://{live.address}"
    project.edit()
    store = follow(url, project.key, Store())
    assert store.items == project.items
    project.edit()
    store = follow(url, project.key, store)
    assert store.items == project.items
    # A feed that began again does not show the deletion.
    project.send("DELETE", project.new_document("Unseen"))
    [path] = [f"/documents/{name.removeprefix('document:')}" for name in list(store.items)[-1:]]
    project.send("DELETE", path)
    assert command("feeds", "renew", environ=environ).returncode == 0
    assert live.request("GET", f"/changes?since={store.checkpoint}", project.key)[0] == 410
    store = follow(url, project.key, store)
    assert store.items == project.items
    assert follow(url, project.key, store).items == store.items


@pytest.mark.parametrize("follow", [follow_in_python, follow_in_node])
def test_a_client_whose_pass_was_interrupted_drops_the_items_that_the_pass_does_not_show(
    live: Live, project: Project, follow: Follow
) -> None:
    project.edit()
    answer = live.request("GET", "/changes?include=value&limit=1", project.key)[1]
    [name] = [f"{each['type']}:{each['id']}" for each in answer["changes"]]
    assert not answer["caught_up"]
    interrupted = Store({name: {}, "document:999999": {"title": "Deleted"}}, answer["next"], [name])
    store = follow(f"http://{live.address}", project.key, interrupted)
    assert list(store.items.keys() ^ project.items.keys()) == []
    assert store.pass_items is None


@pytest.mark.parametrize("follow", [follow_in_python, follow_in_node])
def test_a_client_with_an_invalid_cursor_begins_again(live: Live, project: Project, follow: Follow) -> None:
    store = follow(f"http://{live.address}", project.key, Store({"document:999999": {}}, "abc"))
    assert store.items == project.items


def check_that_it_keeps_up(
    items: Callable[[], Items], project: Project, relay: Relay, environ: dict[str, str], services: Services
) -> None:
    """Check that a client has the items after changes, a cut connection, a conflict and a 410."""

    def has_caught_up() -> bool:
        return items() == project.items

    wait_until(has_caught_up, "the first sync")
    project.edit()
    wait_until(has_caught_up, "the changes")
    relay.cut()
    project.edit()
    wait_until(has_caught_up, "the changes during a cut")
    number = int(project.new_document("In conflict").rpartition("/")[2])
    tags = bring_versions(services, "documents", number, {"title": "Ours"}, {"title": "Theirs"})
    wait_until(lambda: items().get(f"document:{number}", {}).get("title") == "Ours", "the version of a conflict")
    project.send("POST", f"/documents/{number}/resolve", keep=tags[1], supersedes=tags)
    wait_until(has_caught_up, "the end of the conflict")
    assert command("feeds", "renew", environ=environ).returncode == 0
    project.edit()
    wait_until(has_caught_up, "the changes after a 410")


def test_a_python_client_keeps_up(live: Live, environ: dict[str, str], services: Services, project: Project) -> None:
    with Relay(live.address) as relay, keeping_up_in_python(f"http://{relay.address}", project.key) as items:
        check_that_it_keeps_up(items, project, relay, environ, services)


def test_a_javascript_client_keeps_up(
    live: Live, environ: dict[str, str], services: Services, project: Project, browser: Browser
) -> None:
    with Relay(live.address) as relay, keeping_up_in_chromium(browser, f"http://{relay.address}", project.key) as items:
        check_that_it_keeps_up(items, project, relay, environ, services)
