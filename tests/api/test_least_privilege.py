"""The serving process needs no CouchDB administrator: a user with the role that `_security` names is enough."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from app import Application
from app.couch.connection import Connection, Refused
from app.domain.access import SCOPES
from couchapp.databases import MEMBER_ROLE
from tests.api.conftest import Caller


@pytest.fixture(scope="module")
def member_url(server_url: str) -> Iterator[str]:
    """The server's URL with the credentials of a user who has the role and nothing else."""
    name, password, admin = f"member{secrets.token_hex(4)}", secrets.token_hex(8), Connection(server_url, timeout=30)
    user = {"name": name, "password": password, "roles": [MEMBER_ROLE], "type": "user"}
    rev = admin.put("_users", f"org.couchdb.user:{name}", body=user).body["rev"]
    parts = urlsplit(server_url)
    yield parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
    admin.delete("_users", f"org.couchdb.user:{name}", params={"rev": rev})
    admin.close()


def test_a_member_serves_everything(make_app: Callable[..., Application], member_url: str) -> None:
    app = make_app(couchdb_url=member_url)
    _, text = app.services.keys.create("member", SCOPES)
    member = Caller(app, text)
    project = member.new_project()
    created = member.new_document(project_id=project["id"])
    assert member.get(f"/projects/{project['id']}/documents").json == [created]
    made = member.post("/keys", {"name": "x", "scopes": ["operate"]}).json
    assert member.request("DELETE", f"/keys/{made['id']}").status_code == 204
    assert member.get("/readyz").json == {"status": "ok"}


@pytest.mark.usefixtures("settings")
def test_a_member_can_not_change_views(member_url: str, module_prefix: str) -> None:
    member = Connection(member_url, timeout=30)
    with pytest.raises(Refused) as refusal:
        member.put(f"{module_prefix}-documents", "_design", "mine", body={"language": "javascript"})
    assert refusal.value.status in (401, 403)
    member.close()
