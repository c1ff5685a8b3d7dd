"""Check the output and the errors of `python -m app conflicts`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.cli import conflict_text
from app.cli.conflicts import OPERATOR
from app.cli.main import main
from app.domain.resources import DOCUMENT
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.api.conflicts import bring_versions
from tests.api.conftest import deployed_settings
from tests.replication import replicate, revision
from tests.server.live import SECRET, command, environment


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of a deployed installation."""
    deployed_settings(server_url, module_prefix)
    return environment(COUCHDB_URL=server_url, DREAMSCRIPT_DATABASE_PREFIX=module_prefix, DREAMSCRIPT_SECRET_KEY=SECRET)


@pytest.fixture(scope="module")
def services(environ: dict[str, str]) -> Iterator[Services]:
    """The services of the installation."""
    with closing(build_services(Settings.read(environ))) as services:
        yield services


def clash(services: Services) -> tuple[str, list[str]]:
    """Return the id of a document with two versions, and their tags without quotes."""
    document = services.documents.create(OPERATOR, {"title": "Base", "content": "one\ntwo\nthree\n"})
    versions = [{"content": "one\nTWO\nthree\n"}, {"title": "Theirs", "content": "one\n2\nthree\n"}]
    tags = bring_versions(services, "documents", document.public_id, *versions)
    return str(document.public_id), [tag.strip('"') for tag in tags]


def test_a_missing_base_is_not_waited_for(environ: dict[str, str], services: Services) -> None:
    """Each command is a process of its own, which would begin to wait again."""
    document = services.documents.create(OPERATOR, {"title": "Base"})
    stored = services.store["documents"].get(DOCUMENT.doc_id(document.public_id))
    assert stored is not None
    unknown, first = revision(2, "c"), stored.pop("_rev")
    branches = [
        ({**stored, "title": letter, "nonce": letter * 32}, (revision(3, letter), unknown, first)) for letter in "ba"
    ]
    replicate(environ["COUCHDB_URL"], services.store["documents"].name, *branches)
    number = str(document.public_id)
    view = json.loads(command("conflicts", "show", "document", number, "--json", environ=environ).stdout)
    assert (view["reason"], view["pending"]) == ("no_base", False)
    tags = [version["etag"] for version in view["versions"]]
    resolve = ("conflicts", "resolve", "document", number, "--keep", tags[0], "--supersedes", *tags)
    assert command(*resolve, environ=environ).returncode == 0


def test_list_show_and_resolve(environ: dict[str, str], services: Services, tmp_path: Path) -> None:
    assert command("conflicts", "list", environ=environ).stdout == "There is no open conflict.\n"
    number, tags = clash(services)
    header, row = command("conflicts", "list", environ=environ).stdout.splitlines()
    assert (header.split()[:3], row.split()) == (["TYPE", "ID", "REASON"], ["document", number, "clash", tags[0]])

    lines = command("conflicts", "show", "document", number, environ=environ).stdout.splitlines()
    resolve = f"python -m app conflicts resolve document {number} --supersedes {tags[0]} {tags[1]}"
    assert lines == [
        f"document {number}: clash",
        f"  version {tags[0]} of 2026-01-31 12:00Z by elsewhere (current)",
        f"  version {tags[1]} of 2026-01-31 12:00Z by elsewhere",
        'title: "Theirs"',
        "content:",
        "  one",
        f"  <<<<<<< {tags[0]}",
        "  TWO",
        "  ||||||| base",
        "  two",
        "  =======",
        "  2",
        f"  >>>>>>> {tags[1]}",
        "  three",
        "To keep one of the versions, or to store a new one from a file of JSON:",
        f"  {resolve} --keep {tags[0]}",
        f"  {resolve} --value FILE",
    ]
    value = tmp_path / "value.json"
    value.write_text('{"title": "Theirs", "content": "one\\nTWO\\nthree\\n"}')
    resolved = command(*resolve.split()[3:], "--value", str(value), environ=environ)
    assert (resolved.returncode, resolved.stderr) == (0, "")
    assert resolved.stdout.startswith(f"The conflict of document {number} is resolved: its version is 3-")
    assert command("conflicts", "list", environ=environ).stdout == "There is no open conflict.\n"


def test_the_output_for_programs_is_that_of_the_api(environ: dict[str, str], services: Services) -> None:
    number, tags = clash(services)

    def run(*arguments: str) -> Any:
        return json.loads(command("conflicts", *arguments, "--json", environ=environ).stdout)

    assert run("list") == [{"type": "document", "id": int(number), "etag": f'"{tags[0]}"', "reason": "clash"}]
    view = run("show", "document", number)
    assert set(view) == {"reason", "pending", "base", "versions", "merge"}
    item = run("resolve", "document", number, "--supersedes", *tags, "--keep", f'"{tags[1]}"')
    assert item["value"] == view["versions"][1]["value"]
    assert run("show", "document", number)["versions"][0]["etag"] == item["etag"]
    assert run("show", "document", number)["versions"][0]["updated_by"] == "operator"


@pytest.mark.nodatabase
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "key", "1"], "key"),
        (["show", "document", "x"], "whole number"),
        (["resolve", "document", "1", "--keep", "3-a"], "--supersedes"),
        (["resolve", "document", "1", "--supersedes", "3-a"], "--keep"),
        (["resolve", "document", "1", "--supersedes", '"3-a", "3-b"', "--keep", "3-a"], "a tag is"),
        ([], "VERB"),
    ],
)
def test_wrong_arguments_are_reported(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["conflicts", *arguments])
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_an_item_or_a_file_that_does_not_exist_is_one_sentence(environ: dict[str, str]) -> None:
    absent = command("conflicts", "show", "document", "987654", environ=environ)
    assert (absent.returncode, absent.stderr) == (1, "error: There is no document 987654.\n")
    resolve = ("resolve", "document", "1", "--supersedes", "3-a", "--value", "/nowhere.json")
    failed = command("conflicts", *resolve, environ=environ)
    assert (failed.returncode, failed.stderr) == (1, "error: /nowhere.json: No such file or directory\n")


def test_faults_of_a_value_and_stale_tags_are_reported(
    environ: dict[str, str], services: Services, tmp_path: Path
) -> None:
    number, tags = clash(services)
    resolve = ("conflicts", "resolve", "document", number, "--supersedes")
    value = tmp_path / "value.json"
    for content, message in (('{"title": ""}', "title: "), ("{", "not valid JSON")):
        value.write_text(content)
        failed = command(*resolve, *tags, "--value", str(value), environ=environ)
        assert (failed.returncode, message in failed.stderr) == (1, True)
    stale = command(*resolve, tags[0], "--keep", tags[0], environ=environ)
    assert stale.returncode == 1
    assert f"`python -m app conflicts show document {number}`" in stale.stderr


@pytest.mark.nodatabase
def test_versions_without_a_merge_are_shown_whole() -> None:
    version = {"etag": '"2-a"', "value": {"id": 1, "title": "A\x1b[2J"}, "updated_at": None, "updated_by": None}
    view = {"reason": "no_base", "pending": False, "base": None, "versions": [version], "merge": {}}
    assert list(conflict_text.versions("document", 1, view)) == [
        "document 1: no_base",
        "  version 2-a (current)",
        "2-a:",
        "  id: 1",
        '  title: "A\\u001b[2J"',
    ]


@pytest.mark.nodatabase
def test_a_text_cannot_control_the_terminal() -> None:
    hunks = [{"merged": "\x1b[2J\n"}, {"base": None, "versions": {'"2-b"': "\x9b", '"2-a"': 7}}]
    view = {
        "reason": "clash",
        "pending": False,
        "base": None,
        "versions": [],
        "merge": {"content": {"state": "clash", "hunks": hunks}},
    }
    text = "\n".join(conflict_text.versions("document", 1, view))
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "(absent)" in text
