"""The promises of conftest.py to all tests."""

from __future__ import annotations

from app.local_couchdb.wire import request


def test_the_server_lets_its_administrator_in(server_url: str) -> None:
    assert request(server_url, path="/_all_dbs")[0] == 200


def test_a_prefix_is_free(server_url: str, prefix: str) -> None:
    assert request(server_url, "PUT", f"/{prefix}-meta")[0] in (201, 202)
