"""Check that the settings reject values under which the service could not keep its promises about times and sizes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.idempotency import CLOCK_SKEW
from app.domain.projects import ABANDONED_AFTER
from app.settings import MAX_DEADLINE_SECONDS, Settings
from couchapp.settings import SettingError

pytestmark = pytest.mark.nodatabase


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("2.5", 2.5), ("5s", 5.0), ("0.001", 0.001), ("60", 60.0)])
def test_a_deadline_is_a_number_of_seconds(text: str, value: float) -> None:
    assert Settings.parse({"DREAMSCRIPT_DEADLINE": text}).deadline == value


@pytest.mark.parametrize("text", ["0", "0.0s", "-1", "1m", "1e1", "nan", "inf", "60.001", "61", "9" * 400])
def test_a_deadline_has_a_maximum(text: str) -> None:
    with pytest.raises(SettingError, match="above 0 and up to 60"):
        Settings.parse({"DREAMSCRIPT_DEADLINE": text})


def test_a_pending_request_outlives_every_deadline() -> None:
    """This also holds if the clock of another host is as far ahead as we allow."""
    assert timedelta(seconds=MAX_DEADLINE_SECONDS) + CLOCK_SKEW <= ABANDONED_AFTER


def test_credentials_and_secrets_are_not_shown() -> None:
    environ = {
        "COUCHDB_URL": "http://admin:hunter2@db",
        "COUCHDB_ADMIN_URL": "http://admin:hunter2@db",
        "DREAMSCRIPT_SECRET_KEY": "hunter2",
        "DREAMSCRIPT_RATE_LIMIT_STORAGE": "redis://:hunter2@db",
    }
    settings = Settings.read(environ)
    assert (settings.secrets, settings.admin_url) == (("hunter2",), "http://admin:hunter2@db")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", ["COUCHDB_URL", "DREAMSCRIPT_SECRET_KEY"])
def test_a_missing_setting_is_read_from_the_files_of_make_run(name: str, tmp_path: Path) -> None:
    environ = {"COUCHDB_URL": "http://db", "DREAMSCRIPT_SECRET_KEY": "s", "DREAMSCRIPT_VAR": str(tmp_path)}
    del environ[name]
    with pytest.raises(SettingError, match=f"{name} must be set"):
        Settings.read(environ)
    Settings.parse(environ).url_file.write_text("http://local\n")
    Settings.parse(environ).secret_file.write_text("local\n")
    settings = Settings.read(environ)
    assert (settings.couchdb_url == "http://local") is (name == "COUCHDB_URL")
    assert (settings.secrets == ("local",)) is (name != "COUCHDB_URL")
