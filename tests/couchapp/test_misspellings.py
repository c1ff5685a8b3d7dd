"""Check that variables which are probably misspelt settings are reported, with the setting that is meant."""

from __future__ import annotations

import pytest

from app.settings import SETTINGS
from couchapp.misspellings import warnings
from couchapp.settings import CouchSettings

pytestmark = pytest.mark.nodatabase

LISTED = "`python -m app --help` lists the settings"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DREAMSCRIPT_PROT", "did you mean DREAMSCRIPT_PORT?"),
        ("dreamscript_port", "did you mean DREAMSCRIPT_PORT?"),
        ("DREAMSCRIPT_PAGESIZE", "did you mean DREAMSCRIPT_PAGE_SIZE?"),
        ("DREAMSCRIPT_PREFIX", "did you mean DREAMSCRIPT_DATABASE_PREFIX?"),
        ("DREAMSCRIPT_SECRET", "did you mean DREAMSCRIPT_SECRET_KEY?"),
        ("DREAMSCRIPT_COUCHDB_URL", "did you mean COUCHDB_URL?"),
        ("COUCHDB_ULR", "did you mean COUCHDB_URL?"),
        ("COUCHDB_ADMIN", "did you mean COUCHDB_ADMIN_URL?"),
        ("COUCH_URL", "did you mean COUCHDB_URL?"),
        ("DREAMSRIPT_PORT", "did you mean DREAMSCRIPT_PORT?"),
        ("DREAMSCRIPT_NOTHING_LIKE_IT", LISTED),
    ],
)
def test_a_probable_typing_error_is_reported(name: str, hint: str) -> None:
    assert list(warnings({name: "1"}, SETTINGS)) == [f"{name} is not a setting and is ignored: {hint}"]


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "DATABASE_URL",
        "PORT",
        "COUCHDB_USER",
        "COUCHDB_PASSWORD",
        "COUCHDB_SERVICE_HOST",
        "DREAMSCRIPT_PORT_8000_TCP_ADDR",
        "DREAMSCRIPT_TEST_RUNS",
    ],
)
def test_variables_of_other_programs_are_not_reported(name: str) -> None:
    assert list(warnings({name: "1"}, SETTINGS)) == []


def test_settings_are_not_reported() -> None:
    assert list(warnings({row.name: "1" for row in SETTINGS}, SETTINGS)) == []


def test_the_deploy_tool_reports_errors_in_its_own_settings_only() -> None:
    names = [row.name for row in SETTINGS] + ["DREAMSCRIPT_NOTHING_LIKE_IT"]
    assert list(warnings(dict.fromkeys(names, "1"), CouchSettings.rows(), are_all=False)) == []
    for name, setting in (
        ("COUCHDB_ULR", "COUCHDB_URL"),
        ("DREAMSCRIPT_DATABASE_PREFX", "DREAMSCRIPT_DATABASE_PREFIX"),
    ):
        assert setting in next(warnings({name: "1"}, CouchSettings.rows(), are_all=False))
