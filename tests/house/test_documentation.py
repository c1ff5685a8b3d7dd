"""Documentation that cannot lie: every setting, error code, scope, route and command is in the README, as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import create_app
from app.api.metrics import METRICS
from app.cli.main import parser
from app.domain.access import SCOPES
from app.errors import ERRORS
from app.http.errors import STATUS
from app.settings import SETTINGS
from tests.offline_settings import NOWHERE

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def assert_row(*cells: str) -> None:
    """Check that the README has a table row of exactly these cells."""
    row = "| " + " | ".join(cells) + " |"
    assert row in README, f"the README lacks the row\n{row}"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_the_table(setting: object) -> None:
    row = next(row for row in SETTINGS if row is setting)
    shown = row.shown_default if "`" in row.shown_default or row.shown else f"`{row.shown_default}`"
    assert_row(f"`{row.name}`", shown, row.help)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_help(setting: object) -> None:
    row = next(row for row in SETTINGS if row is setting)
    assert row.name in parser().format_help()
    assert row.help in parser().format_help()


def test_the_table_names_no_other_setting() -> None:
    named = set(re.findall(r"^\| `((?:DREAMSCRIPT|COUCHDB)_[A-Z_]+)` \|", README, re.MULTILINE))
    assert named == {row.name for row in SETTINGS}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_error_code_is_in_the_table(error: type) -> None:
    found = next(row for row in ERRORS if row is error)
    assert re.search(rf"^\| {STATUS[found.code]} \| `{found.code}` \| .+ \|$", README, re.MULTILINE)


@pytest.mark.parametrize(("scope", "meaning"), SCOPES.items())
def test_every_scope_is_in_the_table(scope: str, meaning: str) -> None:
    assert_row(f"`{scope}`", meaning)


def routes() -> list[str]:
    """Return every operation as `METHOD /path/{id}`."""
    rules = create_app(NOWHERE).url_map.iter_rules()
    return sorted(
        f"{method} {re.sub('<[^>]*>', '{id}', rule.rule)}"
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/reference/")
    )


@pytest.mark.parametrize("route", routes())
def test_every_route_is_in_the_table(route: str) -> None:
    assert re.search(rf"^\| `{re.escape(route)}` \| .+ \|$", README, re.MULTILINE)


@pytest.mark.parametrize(("metric", "meaning"), METRICS.items())
def test_every_metric_is_in_the_table(metric: str, meaning: str) -> None:
    assert re.search(rf"^\| `{metric}(_total)?` \| {re.escape(meaning)} \|$", README, re.MULTILINE)


def targets() -> list[str]:
    """Return the Makefile's targets that its own menu shows."""
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", targets())
def test_every_make_target_is_in_the_readme(target: str) -> None:
    assert re.search(rf"\bmake {target}(?![a-z-])", README)


@pytest.mark.parametrize("command", ["run", "serve", "keys create", "keys list", "keys rotate", "keys revoke"])
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"python -m app {command}" in README


@pytest.mark.parametrize("verb", ["diff", "stage", "warm", "promote", "rollback", "clean", "deploy", "status"])
def test_every_verb_of_the_deploy_tool_is_in_the_readme(verb: str) -> None:
    assert re.search(rf"^\| `{verb}` \| .+ \|$", README, re.MULTILINE)
