"""Check that the settings reject values under which the service could not keep its promises about times and sizes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.idempotency import CLOCK_SKEW
from app.domain.projects import ABANDONED_AFTER
from app.settings import Settings
from couchapp.settings import SettingError
from launcher.settings import MAX_DEADLINE_SECONDS

pytestmark = pytest.mark.nodatabase

SECRET = "0123456789abcdef"


@pytest.mark.parametrize(("text", "value"), [("5", 5.0), ("2.5", 2.5), ("5s", 5.0), ("0.001", 0.001), ("60", 60.0)])
def test_a_deadline_is_a_number_of_seconds(text: str, value: float) -> None:
    assert Settings.parse({"DREAMSCRIPT_DEADLINE": text}).deadline == value


@pytest.mark.parametrize("text", ["0", "0.0s", "-1", "1m", "1e1", "nan", "inf", "60.001", "61", "9" * 400])
def test_a_deadline_has_a_maximum(text: str) -> None:
    with pytest.raises(SettingError, match="above 0 and up to 60"):
        Settings.parse({"DREAMSCRIPT_DEADLINE": text})


@pytest.mark.parametrize("text", ["75", "75s", " 75\n"])
def test_the_time_of_idle_connections_is_in_seconds(text: str) -> None:
    assert Settings.parse({"DREAMSCRIPT_KEEP_ALIVE": text}).keep_alive == 75


def test_white_space_around_a_value_is_ignored() -> None:
    environ = {"COUCHDB_URL": " http://db\n", "DREAMSCRIPT_PORT": "8001\r\n", "DREAMSCRIPT_HOST": "\n"}
    settings = Settings.parse(environ)
    assert (settings.couchdb_url, settings.port, settings.host) == ("http://db", 8001, "127.0.0.1")


@pytest.mark.parametrize("name", ["COUCHDB_URL", "DREAMSCRIPT_SECRET_KEY"])
def test_a_blank_setting_counts_as_absent(name: str) -> None:
    (sentence,) = faults(**{name: " \n"})
    assert sentence.startswith(f"{name} must be set")


def test_a_pending_request_outlives_every_deadline() -> None:
    """This also holds if the clock of another host is as far ahead as we allow."""
    assert timedelta(seconds=MAX_DEADLINE_SECONDS) + CLOCK_SKEW <= ABANDONED_AFTER


def test_credentials_and_secrets_are_not_shown() -> None:
    environ = {
        "COUCHDB_URL": "http://admin:hunter2@db",
        "COUCHDB_ADMIN_URL": "http://admin:hunter2@db",
        "DREAMSCRIPT_SECRET_KEY": f"hunter2-{SECRET}",
        "DREAMSCRIPT_RATE_LIMIT_STORAGE": "redis://:hunter2@db",
    }
    settings = Settings.read(environ)
    assert (settings.secrets, settings.admin_url) == ((f"hunter2-{SECRET}",), "http://admin:hunter2@db")
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("name", ["COUCHDB_URL", "DREAMSCRIPT_SECRET_KEY"])
def test_a_missing_setting_is_read_from_the_files_of_make_run(name: str, tmp_path: Path) -> None:
    environ = {"COUCHDB_URL": "http://db", "DREAMSCRIPT_SECRET_KEY": SECRET, "DREAMSCRIPT_VAR": str(tmp_path)}
    del environ[name]
    with pytest.raises(SettingError, match=f"{name} must be set"):
        Settings.read(environ)
    Settings.parse(environ).url_file.write_text("http://local\n")
    Settings.parse(environ).secret_file.write_text(f"local {SECRET}\n")
    settings = Settings.read(environ)
    assert (settings.couchdb_url == "http://local") is (name == "COUCHDB_URL")
    assert (settings.secrets == (f"local {SECRET}",)) is (name != "COUCHDB_URL")


def faults(**environ: str) -> tuple[str, ...]:
    """Return the sentences for the faulty settings of a serving process."""
    defaults = {"COUCHDB_URL": "http://db", "DREAMSCRIPT_SECRET_KEY": SECRET, "DREAMSCRIPT_VAR": "/nonexistent"}
    with pytest.raises(SettingError) as raised:
        Settings.read(defaults | environ)
    return raised.value.faults


def test_every_faulty_setting_is_reported_at_once() -> None:
    sentences = faults(
        DREAMSCRIPT_PORT="x", DREAMSCRIPT_WORKERS="0", COUCHDB_URL="localhost:5984", DREAMSCRIPT_SECRET_KEY=""
    )
    assert [sentence.split()[0] for sentence in sentences] == [
        "COUCHDB_URL",
        "DREAMSCRIPT_PORT",
        "DREAMSCRIPT_WORKERS",
        "DREAMSCRIPT_SECRET_KEY",
    ]
    assert sentences[1] == "DREAMSCRIPT_PORT must be a port, 0 to 65535, not 'x'"
    assert str(SettingError(*sentences)).splitlines()[0] == "4 settings are wrong:"


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("DREAMSCRIPT_TRUSTED_PROXIES", "yes", "a whole number from 0 to"),
        ("DREAMSCRIPT_REGION", "-1", "a whole number from 0 to"),
        ("DREAMSCRIPT_KEEP_ALIVE", "1m", "a whole number of seconds from 1 to"),
        ("DREAMSCRIPT_WORKERS", "0", "a whole number from 1 to"),
        ("DREAMSCRIPT_CACHE_BYTES", "9" * 10, "a whole number from 1 to 999999999"),
        ("DREAMSCRIPT_MAX_BODY_BYTES", "1MiB", "a number of bytes from 1 to 7000000"),
        ("DREAMSCRIPT_MAX_BODY_BYTES", "7000001", "a number of bytes from 1 to 7000000"),
    ],
)
def test_the_message_about_a_number_names_the_range(name: str, text: str, accepted: str) -> None:
    (sentence,) = faults(**{name: text})
    assert sentence.startswith(f"{name} must be {accepted}")


@pytest.mark.parametrize(
    "url",
    [
        "localhost:5984",
        "hunter2@db:5984",
        "http://",
        "http://u:hunter2/x@db",
        "http://u:hunter2@db:x",
        "http://db?hunter2",
    ],
)
def test_a_malformed_url_is_refused_and_not_shown(url: str) -> None:
    (sentence,) = faults(COUCHDB_URL=url)
    assert sentence.startswith("COUCHDB_URL must be ")
    assert "http://user:password@" in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("secret", ["s", "0123456789abcde", "a" * 40, "changeme" * 3])
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    (sentence,) = faults(DREAMSCRIPT_SECRET_KEY=secret)
    assert "hard to guess: the secret has" in sentence
    assert "secrets.token_urlsafe" in sentence
    assert secret not in sentence or len(secret) == 1


def test_each_secret_of_a_rotation_must_be_strong() -> None:
    first, second = faults(DREAMSCRIPT_SECRET_KEY=f"weak,{SECRET},weaker")
    assert "secret 1 of 3 has 4 characters" in first
    assert "secret 3 of 3 has 6 characters" in second


def test_a_weak_secret_passes_beside_make_run(tmp_path: Path) -> None:
    environ = {"DREAMSCRIPT_SECRET_KEY": "weak", "DREAMSCRIPT_VAR": str(tmp_path)}
    Settings.parse(environ).url_file.write_text("http://local\n")
    assert Settings.read(environ).secrets == ("weak",)


def test_a_region_is_below_the_number_of_regions() -> None:
    (sentence,) = faults(DREAMSCRIPT_REGION="2", DREAMSCRIPT_REGIONS="2")
    assert sentence == "DREAMSCRIPT_REGION must be below DREAMSCRIPT_REGIONS, which is 2, not 2"
