"""Every answer carries its request's id, the client's own where that can be logged as it is."""

from __future__ import annotations

import json
import logging
import re

import pytest

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


def test_the_log_contains_the_request_and_never_the_key(ada: Caller, caplog: pytest.LogCaptureFixture) -> None:
    assert ada.key is not None
    with caplog.at_level(logging.INFO):
        ada.get("/documents?limit=1", x_request_id="seen-again")
    line = next(record for record in caplog.records if record.name == "dreamscript.access")
    fields = vars(line)
    assert fields["request_id"] == "seen-again"
    assert (fields["method"], fields["route"], fields["status"]) == ("GET", "/documents", 200)
    assert fields["principal"].startswith("p")
    assert fields["duration_ms"] >= 0
    assert ada.key not in json.dumps([vars(record) for record in caplog.records], default=str)
