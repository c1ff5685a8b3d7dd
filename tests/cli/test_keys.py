"""Check the output and the errors of `python -m app keys`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from app.domain.access import SCOPES, Access
from app.domain.resources import now
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.api.conftest import deployed_settings
from tests.server.live import SECRET, command, environment

EVERYTHING = Access(0, "somebody", frozenset(SCOPES))


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str) -> dict[str, str]:
    """The settings of a deployed installation."""
    deployed_settings(server_url, module_prefix)
    return environment(COUCHDB_URL=server_url, DREAMSCRIPT_DATABASE_PREFIX=module_prefix, DREAMSCRIPT_SECRET_KEY=SECRET)


@pytest.fixture
def services(environ: dict[str, str]) -> Iterator[Services]:
    """The services of the installation."""
    with closing(build_services(Settings.read(environ))) as services:
        yield services


def test_create_list_and_revoke(environ: dict[str, str]) -> None:
    scopes = ("--scope", "documents:read", "--scope", "projects:read")
    created = json.loads(command("keys", "create", "ci", *scopes, "--expires", "30d", "--json", environ=environ).stdout)
    assert re.fullmatch("ds_live_[0-9A-Za-z]{49}", created["key"])
    assert created["scopes"] == ["documents:read", "projects:read"]
    expires_at = datetime.fromisoformat(created["expires_at"])
    assert abs(expires_at - now() - timedelta(days=30)) < timedelta(minutes=5)

    listed = json.loads(command("keys", "list", "--json", environ=environ).stdout)
    assert {name: value for name, value in created.items() if name != "key"} in listed
    assert created["key"] not in json.dumps(listed)

    plain = command("keys", "list", environ=environ).stdout
    header, *lines = plain.splitlines()
    assert header.split("  ")[0] == "ID"
    line = next(line for line in lines if line.startswith(f"{created['id']} "))
    assert re.search(rf"active +{created['expires_at'][:10]} [0-9:]+Z +- +ci +- +documents:read projects:read$", line)

    revoked = command("keys", "revoke", str(created["id"]), environ=environ)
    assert revoked.returncode == 0
    assert "revoked" in revoked.stdout
    assert f"\n{created['id']}   revoked 20" in command("keys", "list", environ=environ).stdout


def test_a_key_can_be_limited(environ: dict[str, str], services: Services) -> None:
    for _ in range(3):
        services.projects.create(EVERYTHING, {"name": "One"})
    services.documents.create(EVERYTHING, {"title": "One"})
    limits = ("--project", "3", "2", "--project", "1", "--document", "1", "--out-of-scope", "hide")
    made = command("keys", "create", "few", "--scope", "documents:read", *limits, "--json", environ=environ)
    created = json.loads(made.stdout)
    assert (created["projects"], created["documents"], created["out_of_scope"]) == ([1, 2, 3], [1], "hide")
    assert "projects 1,2,3 documents 1 (hide)" in command("keys", "list", environ=environ).stdout
    refused = command("keys", "create", "few", "--scope", "documents:read", "--project", "x", environ=environ)
    assert (refused.returncode, "whole number" in refused.stderr) == (2, True)


@pytest.mark.parametrize("limit", ["project", "document"])
def test_a_key_for_absent_items_is_refused(environ: dict[str, str], limit: str) -> None:
    before = command("keys", "list", environ=environ).stdout
    refused = command("keys", "create", "x", "--scope", "operate", f"--{limit}", "999999", "999998", environ=environ)
    assert refused.returncode == 1
    assert f"There is no {limit} 999999, 999998, so no key was created: correct --{limit}." in refused.stderr
    assert command("keys", "list", environ=environ).stdout == before


def test_output_without_json_is_for_people(environ: dict[str, str]) -> None:
    made = command("keys", "create", "laptop", "--scope", *SCOPES, environ=environ)
    assert made.returncode == 0
    assert "shown this once" in made.stdout
    assert re.search("^ds_live_[0-9A-Za-z]{49}$", made.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["create", "x"], 2, "--scope"),
        (["create", "x", "--scope", "everything"], 2, "everything"),
        (["create", "x", "--scope", "operate", "--expires", "soon"], 2, "30d"),
        (["create", "x", "--scope", "operate", "--expires", "99999w"], 2, "ten years"),
        (["create", "", "--scope", "operate"], 1, "1 to 300"),
        (["revoke", "987654"], 1, "no key 987654"),
        (["revoke", "x"], 2, "whole number"),
        ([], 2, "VERB"),
    ],
)
def test_an_error_is_one_sentence(environ: dict[str, str], arguments: list[str], code: int, message: str) -> None:
    failed = command("keys", *arguments, environ=environ)
    assert failed.returncode == code
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    # A command has no member `errors`, as an answer of the API has.
    assert "errors lists" not in failed.stderr


def test_an_unreachable_database_is_reported(environ: dict[str, str]) -> None:
    failed = command("keys", "list", environ={**environ, "COUCHDB_URL": "http://admin:hunter2@127.0.0.1:1"})
    assert failed.returncode == 1
    assert failed.stderr.startswith(
        "error: COUCHDB_URL: no connection to 127.0.0.1:1: Connection refused. Start CouchDB"
    )
    assert "hunter2" not in failed.stderr


def test_a_missing_deployment_is_reported(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    failed = command("keys", "list", environ={**environ, "DREAMSCRIPT_DATABASE_PREFIX": "never-deployed"})
    assert failed.returncode == 1
    assert "404 not_found" in caplog.text
    assert "run `make deploy-views`, or correct COUCHDB_URL or DREAMSCRIPT_DATABASE_PREFIX" in failed.stderr


def test_rotate_creates_a_successor(environ: dict[str, str]) -> None:
    created = json.loads(command("keys", "create", "old", "--scope", "operate", "--json", environ=environ).stdout)
    rotated = command("keys", "rotate", str(created["id"]), "--overlap", "7d", "--json", environ=environ)
    new = json.loads(rotated.stdout)
    assert new["principal"] == created["principal"]
    assert re.fullmatch("ds_live_[0-9A-Za-z]{49}", new["key"])
    assert f"\n{created['id']}   rotated, ends 20" in command("keys", "list", environ=environ).stdout
    again = command("keys", "rotate", str(created["id"]), environ=environ)
    assert again.returncode == 1
    assert "rotated before" in again.stderr
