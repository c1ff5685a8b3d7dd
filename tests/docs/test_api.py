"""Run the examples of docs/api.md; `tests/api/openapi/test_clients.py` runs those for generated clients."""

from __future__ import annotations

import json

import pytest

from tests.docs.blocks import blocks, commands
from tests.docs.conftest import MakeReader, NewItem
from tests.docs.programs import node_command, run
from tests.docs.reader import Reader
from tests.server.live import Live

PAGE = "docs/api.md"
SETUP, RETRY, BATCH, OFFLINE, RESERVATION = [commands(block) for block in blocks(PAGE, "sh")]
[FETCH] = blocks(PAGE, "js")


@pytest.fixture
def reader(make_reader: MakeReader, new_item: NewItem) -> Reader:
    """A reader with three documents, after the page's first block."""
    first = new_item("documents", title="Start")
    second = new_item("documents", title="Plan", content="one\ntwo\nTHREE\n")
    third = new_item("documents", title="To be deleted")
    reader = make_reader({"1": str(first), "2": str(second), "3": str(third)})
    for row in SETUP:
        reader.run(row)
    return reader


def test_a_repeated_request_creates_one_document(reader: Reader, live: Live, key: str) -> None:
    [row] = RETRY
    created = json.loads(reader.run(row))
    assert json.loads(reader.run(row)) == created
    assert live.request("GET", f"/documents/{created['id']}", key)[1] == {"id": created["id"], "title": "Imported"}


def test_a_batch_has_the_outcomes_that_the_page_shows(reader: Reader, live: Live, key: str) -> None:
    [row] = BATCH
    reader.run(row)
    first, third, fourth = (live.request("GET", f"/documents/{reader.values[name]}", key) for name in "134")
    assert (first[1]["title"], third[0], fourth[1]["title"]) == ("Replaced", 404, "Imported")


def test_edits_of_an_offline_client_are_compared_and_merged(reader: Reader) -> None:
    [row] = OFFLINE
    reader.run(row)


def test_a_document_is_created_under_a_reserved_id(reader: Reader, live: Live, key: str) -> None:
    for row in RESERVATION:
        reader.run(row)
    assert live.request("GET", f"/documents/{reader.values['5']}", key)[1]["title"] == "Written offline"
    assert live.request("GET", f"/documents/{reader.values['6']}", key)[0] == 404


def test_a_page_of_another_origin_fetches_a_list(new_item: NewItem, live: Live, key: str) -> None:
    for _ in range(4):
        new_item("documents", title="Listed")
    script = f"const key = process.argv[1];\n{FETCH.replace('127.0.0.1:8000', live.address)}"
    documents, following = json.loads(run(node_command(f"{script}console.log(JSON.stringify([documents, next]))", key)))
    assert documents == live.request("GET", "/documents", key)[1]
    assert following.startswith(f"http://{live.address}/documents?cursor=")
