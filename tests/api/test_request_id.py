"""Every answer carries its request's id, the client's own where that can be logged as it is."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from werkzeug.test import Client

from app import create_app
from app.request_context import RequestRecord
from app.settings import Settings
from tests.api.conftest import Caller


@pytest.mark.parametrize("offered", ["a", "A-b_c.9", "x" * 128])
def test_a_usable_id_is_echoed(ada: Caller, offered: str) -> None:
    for path in ("/documents", "/nope", "/livez"):
        assert ada.get(path, x_request_id=offered).headers.getlist("X-Request-ID") == [offered]


@pytest.mark.parametrize("offered", ["", " ", "x" * 129, "a b", "a,b", "ü", 'a"b', "a/b"])
def test_an_unusable_id_is_replaced(ada: Caller, offered: str) -> None:
    given = ada.get("/documents", x_request_id=offered).headers["X-Request-ID"]
    assert given != offered
    assert re.fullmatch("[0-9a-f]{32}", given)


def test_the_record_of_a_request_has_its_facts_and_never_the_key(settings: Settings, ada: Caller) -> None:
    assert ada.key is not None
    records: list[RequestRecord] = []
    app = create_app(replace(settings, trusted_proxies=1), report=records.append)
    try:
        # A Caller would compare cached answers with Flask's, whose requests have records too.
        client, key = Client(app), {"X-API-Key": ada.key}
        client.get("/documents?limit=1", headers={**key, "X-Request-ID": "seen-again", "X-Forwarded-For": "192.0.2.7"})
        client.get("/nope", headers=key)
        client.get("/documents/7")
    finally:
        app.close()
    record = records[0]
    assert (record.method, record.route, record.path, record.query) == ("GET", "/documents", "/documents", "limit=1")
    assert (record.status, record.request_id, record.client) == (200, "seen-again", "192.0.2.7")
    assert record.principal == f"p{record.key_id}"
    assert record.seconds >= 0
    assert record.body_bytes > 0
    assert [(record.path, record.route, record.status) for record in records[1:]] == [
        ("/nope", None, 404),
        ("/documents/7", "/documents/<id:document_id>", 401),
    ]
    assert ada.key not in json.dumps(records)
