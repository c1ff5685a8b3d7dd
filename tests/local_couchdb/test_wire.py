"""The requests to a local server carry the credentials of its URL."""

from __future__ import annotations

from base64 import b64decode

import pytest

from app.local_couchdb.wire import read
from tests.couch.misbehaving_server import MisbehavingServer, answer

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(
    ("userinfo", "credentials"),
    [("ada:p%40ss", "ada:p@ss"), ("ada:", "ada:"), ("ada", "ada:")],
    ids=["decoded", "an empty password", "no password"],
)
def test_the_credentials_of_the_url_are_sent(userinfo: str, credentials: str) -> None:
    with MisbehavingServer(answer(200, {"couchdb": "Welcome"})) as server:
        assert read(server.url.replace("://", f"://{userinfo}@")) == {"couchdb": "Welcome"}
    [request] = server.requests
    scheme, _, token = request.headers["authorization"].partition(" ")
    assert (scheme, b64decode(token).decode()) == ("Basic", credentials)
