"""Check that `serve` starts although its database does not answer yet, and reports that once."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from app.settings import Settings
from tests.couch.misbehaving_server import MisbehavingServer, answer
from tests.server.live import SECRET, command, environment

pytestmark = pytest.mark.nodatabase


def serve(url: str) -> tuple[int, str, list[Settings]]:
    """Run the command without its server; return its status, stderr and the settings that the server was given."""
    served: list[Settings] = []

    def take(settings: Settings) -> int:
        served.append(settings)
        return 0

    environ = environment(COUCHDB_URL=url, DREAMSCRIPT_SECRET_KEY=SECRET, DREAMSCRIPT_PORT="0")
    with patch("app.cli.serve.server.serve", take):
        ended = command("serve", environ=environ)
    return ended.returncode, ended.stderr, served


def test_a_database_that_does_not_answer_is_a_warning() -> None:
    status, stderr, served = serve("http://admin:hunter2@127.0.0.1:1")
    assert (status, len(served)) == (0, 1)
    assert stderr.startswith("warning: COUCHDB_URL: no connection to 127.0.0.1:1: Connection refused.")
    assert stderr.endswith("Until then requests are answered with 503\n")
    assert "hunter2" not in stderr


def test_a_database_that_answers_is_no_warning() -> None:
    with MisbehavingServer(answer(200, {"couchdb": "Welcome"})) as server:
        status, stderr, served = serve(server.url)
    assert (status, stderr, len(served)) == (0, "", 1)
