"""Settings for what needs no database: what is served under them reaches none."""

from __future__ import annotations

from app.settings import Settings

NOWHERE = Settings.read({"COUCHDB_URL": "http://127.0.0.1:1", "DREAMSCRIPT_SECRET_KEY": "a secret for tests"})
