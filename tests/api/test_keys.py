"""Keys: authorisation comes first, and the database neither stores nor reveals a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.couch.connection import Connection
from app.domain.keys.key_text import compose
from app.domain.resources import now
from app.services import Services
from app.settings import Settings
from app.store import Database
from tests.api.conftest import Caller


def test_authorisation_comes_first(nobody: Caller, caller: Callable[..., Caller]) -> None:
    for who, status in ((nobody, 401), (caller("keys:manage"), 403)):
        assert who.get("/documents/999999999").status_code == status
        assert who.get("/documents?limit=0").status_code == status
        assert who.request("POST", "/documents", data=b"{").status_code == status
        assert who.get("/documents", accept="image/png").status_code == status


def test_public_paths_need_no_key(nobody: Caller) -> None:
    for path in ("/", "/openapi.json", "/livez", "/readyz"):
        assert nobody.get(path).status_code == 200, path


def test_the_text_of_a_key_is_not_stored(services: Services, settings: Settings) -> None:
    key, text = services.keys.create("secret", ["documents:read"])
    connection = Connection(settings.couchdb_url, timeout=30)
    rows = connection.get(f"{settings.prefix}-keys", "_all_docs", params={"include_docs": True}).body["rows"]
    connection.close()
    stored = json.dumps(rows)
    assert f"key:{key.id:016d}" in stored
    assert text not in stored
    assert text[8:51] not in stored


def test_a_revocation_takes_effect_at_the_next_read_of_the_key(services: Services) -> None:
    key, text = services.keys.create("short-lived", ["documents:read"])
    assert services.keys.recognise(text) == key
    assert services.keys.revoke(key.id).revoked_at is not None
    revoked = services.keys.recognise(text)
    assert revoked is not None
    assert not revoked.is_alive(now())
    assert services.keys.revoke(key.id) == revoked


def test_every_well_formed_key_takes_the_same_number_of_reads(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the time of a refusal would distinguish unknown keys from ended ones."""
    reads: list[int] = []
    get_many = Database.get_many

    def counted(database: Database, doc_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        reads.append(len(doc_ids))
        return get_many(database, doc_ids)

    key, text = services.keys.create("ended", ["documents:read"])
    services.keys.revoke(key.id)
    monkeypatch.setattr(Database, "get_many", counted)
    services.keys.recognise(text)
    revoked, reads = reads, []
    assert services.keys.recognise(compose("live", b"\x02" * 32)) is None
    assert reads == revoked
