"""Check `python -m app feeds renew`."""

from __future__ import annotations

import json

from app.store import Store
from tests.api.conftest import deployed_settings
from tests.server.live import SECRET, command, environment


def test_a_renewal_gives_every_database_another_identity(server_url: str, module_prefix: str) -> None:
    deployed_settings(server_url, module_prefix)
    environ = environment(
        COUCHDB_URL=server_url, DREAMSCRIPT_DATABASE_PREFIX=module_prefix, DREAMSCRIPT_SECRET_KEY=SECRET
    )
    store = Store(server_url, module_prefix)

    def identities() -> dict[str, str | None]:
        names = ("documents", "history", "keys", "meta", "projects")
        return {f"{module_prefix}-{name}": store.feed(name).identity() for name in names}

    before = identities()
    renewed = json.loads(command("feeds", "renew", "--json", environ=environ).stdout)
    assert renewed == identities()
    assert not set(renewed.values()) & set(before.values())
    plain = command("feeds", "renew", environ=environ)
    assert f"{module_prefix}-documents: the feed identity is renewed" in plain.stdout.splitlines()
    assert set(identities().values()).isdisjoint(renewed.values())
    store.close()
