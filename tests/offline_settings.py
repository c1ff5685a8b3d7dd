"""Settings for tests without a database: nothing listens at their COUCHDB_URL."""

from __future__ import annotations

from app.settings import Settings

OFFLINE_SETTINGS = Settings.read({"COUCHDB_URL": "http://127.0.0.1:1", "DREAMSCRIPT_SECRET_KEY": "a secret for tests"})
