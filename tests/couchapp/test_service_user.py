"""Check that the service's own CouchDB user is made from the settings, and that each run can be repeated."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import pytest

from app.couch.connection import Connection, Refused
from couchapp.cli import main
from couchapp.databases import MEMBER_ROLE
from tests.waiting import wait_until

# Every character here needs percent-encoding in a URL.
PASSWORD = "a:long/pass@word?"


@pytest.fixture
def name(connection: Connection) -> Iterator[str]:
    """The name of a user, which is deleted afterwards."""
    name = f"member{secrets.token_hex(4)}"
    yield name
    try:
        document = connection.get("_users", f"org.couchdb.user:{name}").body
    except Refused:
        return
    connection.delete("_users", f"org.couchdb.user:{name}", params={"rev": document["_rev"]})


def member_url(server_url: str, name: str, password: str) -> str:
    parts = urlsplit(server_url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{name}:{quote(password, safe='')}@{host}").geturl()


def roles(url: str) -> list[str]:
    """Return the roles of a user. Raises Refused if the server does not know the credentials."""
    member = Connection(url, timeout=30)
    try:
        return list(member.get("_session").body["userCtx"]["roles"])
    finally:
        member.close()


def accepts(url: str) -> bool:
    """Return whether the server knows the credentials."""
    try:
        return bool(roles(url))
    except Refused:
        return False


def run(admin_url: str, url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(["user"], {"COUCHDB_ADMIN_URL": admin_url, "COUCHDB_URL": url})
    output = capsys.readouterr()
    return status, output.out + output.err


def test_a_user_is_created_once(server_url: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    url = member_url(server_url, name, PASSWORD)
    status, output = run(server_url, url, capsys)
    assert status == 0
    assert output.endswith(f"created the user {name}\n")
    assert roles(url) == [MEMBER_ROLE]
    assert run(server_url, url, capsys) == (0, "user: nothing to do\n")
    assert PASSWORD not in output


def test_a_new_password_replaces_the_old_one(server_url: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = (member_url(server_url, name, password) for password in (PASSWORD, "another"))
    run(server_url, old, capsys)
    assert run(server_url, new, capsys) == (0, f"changed the password of the user {name}\n")
    # CouchDB remembers a user until it reads of the change in its own feed.
    wait_until(lambda: accepts(new) and not accepts(old), "the new password")
    assert roles(new) == [MEMBER_ROLE]


def test_other_roles_of_a_user_stay(
    server_url: str, name: str, connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    user = {"name": name, "type": "user", "roles": ["other"], "password": PASSWORD}
    connection.put("_users", f"org.couchdb.user:{name}", body=user)
    url = member_url(server_url, name, PASSWORD)
    assert run(server_url, url, capsys) == (0, f"gave the user {name} the role {MEMBER_ROLE}\n")
    wait_until(lambda: set(roles(url)) == {"other", MEMBER_ROLE}, "the new role")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must both be set"),
        ("http://127.0.0.1:1", "must name the same server"),
        ("{server}", "must have a user and a password"),
        ("{admin}", "must name another user"),
    ],
)
def test_settings_that_name_no_such_user_are_refused(
    server_url: str, url: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = member_url(server_url, "", "").replace(":@", "")
    status, output = run(server_url, url.format(server=bare, admin=server_url), capsys)
    assert status == 2
    assert message in output
