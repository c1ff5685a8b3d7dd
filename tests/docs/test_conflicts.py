"""Run the examples of docs/conflicts.md, with the versions of the page brought by replication."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from app.services import Services
from tests.api.conflicts import bring_versions
from tests.docs.blocks import Command, blocks, commands
from tests.docs.conftest import MakeReader, NewItem
from tests.docs.reader import Reader
from tests.server.live import Live, command

PAGE = "docs/conflicts.md"
SETUP, SHOW, RESOLVE, LIST, OPERATOR = [commands(block) for block in blocks(PAGE, "sh")]
[SHOWN_AS_TEXT] = blocks(PAGE, "")
NONE_OPEN = "There is no open conflict.\n"
WRITTEN = {"title": "Introduction", "content": "one\nTWO\n"}


def run(reader: Reader, rows: list[Command]) -> None:
    for row in rows:
        reader.run(row)


@pytest.fixture
def reader(make_reader: MakeReader, new_item: NewItem, live: Live, key: str, services: Services) -> Reader:
    """A reader after the first blocks of the page, with its conflict in this service."""
    number = new_item("documents", title="Intro", content="one\n")
    base = {"title": "Intro", "content": "one\ntwo\n"}
    assert live.request("PUT", f"/documents/{number}", key, base)[0] == 200
    versions = [
        {"title": "Intro", "content": "one\nTWO\n", "updated_by": "p1"},
        {"title": "Introduction", "content": "one\n2\n", "updated_by": "p2"},
    ]
    bring_versions(services, "documents", number, *versions)
    reader = make_reader({"3": str(number)})
    run(reader, [*SETUP, *SHOW])
    return reader


@pytest.mark.parametrize(
    ("row", "value"), [(RESOLVE[0], {"title": "Introduction", "content": "one\n2\n"}), (RESOLVE[1], WRITTEN)]
)
def test_a_conflict_is_listed_and_resolved(reader: Reader, row: Command, value: dict[str, str]) -> None:
    run(reader, LIST)
    item = json.loads(reader.run(row))
    assert item == {"id": int(reader.values["3"]), **value}
    assert json.loads(reader.run(LIST[0]._replace(output=""))) == []


@pytest.mark.parametrize("row", OPERATOR[2:], ids=["keep", "value"])
def test_an_operator_lists_shows_and_resolves_a_conflict(
    reader: Reader, row: Command, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new.json").write_text(json.dumps(WRITTEN))
    monkeypatch.chdir(tmp_path)

    def printed(row: Command) -> str:
        words = shlex.split(reader.adapted(row.text))
        assert words[:3] == [".venv/bin/python", "-m", "app"]
        ended = command(*words[3:], environ=environ)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    assert reader.values["3-d1f2…"] in printed(OPERATOR[0])
    text, _, advice = printed(OPERATOR[1]).partition("To keep one")
    reader.check(SHOWN_AS_TEXT, text)
    assert "conflicts resolve document" in advice
    assert "is resolved" in printed(row)
    assert printed(OPERATOR[0]) == NONE_OPEN
