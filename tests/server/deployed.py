"""Deploys an installation for services that tests run in processes of their own."""

from __future__ import annotations

from tests.api.conftest import deployed_settings
from tests.server.live import SECRET, environment


def deployed_environment(server_url: str, prefix: str, **settings: str) -> dict[str, str]:
    """Deploy the tree under ``prefix``; return the environment of a service with one worker, without rate limits."""
    deployed_settings(server_url, prefix)
    own = {
        "COUCHDB_URL": server_url,
        "DREAMSCRIPT_DATABASE_PREFIX": prefix,
        "DREAMSCRIPT_SECRET_KEY": SECRET,
        "DREAMSCRIPT_WORKERS": "1",
        "DREAMSCRIPT_RATE_LIMIT": "off",
    }
    return environment(**own | settings)
