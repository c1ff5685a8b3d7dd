"""A deployed installation, a key and a running service for each module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.conftest import deployed_settings
from tests.server.live import SECRET, Live, create_key, environment


@pytest.fixture(scope="module")
def overrides() -> dict[str, str]:
    """The settings of a module's service, beside two workers without a rate limit."""
    return {}


@pytest.fixture(scope="module")
def environ(server_url: str, module_prefix: str, overrides: dict[str, str]) -> dict[str, str]:
    """The environment of an installation that is deployed and not yet served."""
    deployed_settings(server_url, module_prefix)
    settings = {"DREAMSCRIPT_WORKERS": "2", "DREAMSCRIPT_RATE_LIMIT": "off", **overrides}
    return environment(
        COUCHDB_URL=server_url,
        DREAMSCRIPT_DATABASE_PREFIX=module_prefix,
        DREAMSCRIPT_SECRET_KEY=SECRET,
        **settings,
    )


@pytest.fixture(scope="module")
def key(environ: dict[str, str]) -> str:
    """A key that may read and write documents."""
    return str(create_key(environ, ["documents:read", "documents:write"])["key"])


@pytest.fixture(scope="module")
def operator(environ: dict[str, str]) -> str:
    """A key for the metrics."""
    return str(create_key(environ, ["operate"])["key"])


@pytest.fixture(scope="module")
def live(environ: dict[str, str]) -> Iterator[Live]:
    """The running service."""
    with Live("serve", environ) as running:
        yield running
