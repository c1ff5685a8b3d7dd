"""Check the block that `make run` prints: each line can be pasted, and a name with spaces stays one word."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.banner import DevelopmentKey, Storage, banner, base_url
from app.domain.access import SCOPES

pytestmark = pytest.mark.nodatabase

URL = "http://127.0.0.1:8000"
LOCAL = Storage("embedded PouchDB Server", "http://admin:s%40cret@127.0.0.1:4567", Path("/data/var"))
REMOTE = Storage("Apache CouchDB 3.5.0", "http://admin:hunter2@db.example:5984", None)
NEW = DevelopmentKey(Path("/data/var/development-key"), "ds_dev_x")


def test_it_names_everything_for_the_first_hour() -> None:
    text = banner(URL, NEW, LOCAL)
    for part in (
        f"API        {URL}\n",
        f"Reference  {URL}/reference\n",
        "Database   embedded PouchDB Server\n",
        "Data       /data/var\n",
        "Fauxton    http://127.0.0.1:4567/_utils/\n",
        "user admin, password s@cret\n",
        "Ctrl-C",
        "stored in /data/var/development-key:\n  ds_dev_x\n",
        f'\n  curl -H "X-API-Key: ds_dev_x" {URL}/documents\n',
    ):
        assert part in text


def test_without_fauxton_it_names_the_database_itself() -> None:
    text = banner(URL, NEW, replace(LOCAL, has_fauxton=False))
    assert "CouchDB    http://127.0.0.1:4567/\n" in text
    assert "user admin, password s@cret\n" in text
    assert "Fauxton" not in text


def test_a_later_start_shows_the_file_and_not_the_key() -> None:
    text = banner(URL, DevelopmentKey(Path("/my data/development-key")), LOCAL)
    line = next(line for line in text.splitlines() if line.startswith("  curl "))
    assert line == f"""  curl -H "X-API-Key: $(cat '/my data/development-key')" {URL}/documents"""
    assert len(shlex.split(line)) == 4


def test_without_a_valid_key_it_shows_how_to_create_one_with_all_scopes() -> None:
    line = banner(URL, DevelopmentKey(None), LOCAL).splitlines()[-1].strip()
    words = shlex.split(line)
    assert words[:5] == [".venv/bin/python", "-m", "app", "keys", "create"]
    assert words[words.index("--scope") + 1 :] == list(SCOPES)


def test_credentials_of_another_database_are_not_shown() -> None:
    text = banner(URL, NEW, REMOTE)
    assert "http://db.example:5984/_utils/ (user and password as in COUCHDB_URL)" in text
    assert "hunter2" not in text
    assert "Data " not in text


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8"),
        ("0.0.0.0", "http://127.0.0.1:8"),
        ("::", "http://[::1]:8"),
        ("::1", "http://[::1]:8"),
        ("db.example", "http://db.example:8"),
    ],
)
def test_the_url_can_be_reached_from_this_machine(host: str, url: str) -> None:
    assert base_url(host, 8) == url
