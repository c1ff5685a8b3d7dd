"""Check that the documentation matches the code: tables, commands, links and file names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import create_app
from app.cli.main import parser
from app.domain.access import SCOPES
from app.errors import ERRORS, ServiceError
from app.metric_definitions import METRICS, Metric
from app.settings import SETTINGS
from tests.offline_settings import OFFLINE_SETTINGS

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
MAX_README_BYTES = 8_192
MAX_DECISION_BYTES = 6_144
SOURCES = (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*/README.md"))
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}
API, KEYS, CONFIGURATION, OPERATIONS, CONTRIBUTING = (
    PAGES[f"docs/{name}.md"] for name in ("api", "keys", "configuration", "operations", "contributing")
)
FOLDERS = "app|couchapp|launcher|design_docs|tests|proofs|bench|deploy|docs|examples"
NAMED_FILE = re.compile(rf"`((?:{FOLDERS})/[\w./*-]+)`")
NAMED_PAGE = re.compile(r"docs/[\w./-]+\.md")
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def assert_row(page: str, *cells: str) -> None:
    """Check that ``page`` has a table row of exactly these cells."""
    row = "| " + " | ".join(cells) + " |"
    assert row in page, f"the page lacks the row\n{row}"


def assert_row_begins(page: str, *cells: str) -> None:
    """Check that ``page`` has a table row that begins with these cells and has one more."""
    row = "| " + " | ".join(cells) + " |"
    assert re.search(rf"^{re.escape(row)} .+ \|$", page, re.MULTILINE), f"the page lacks a row that begins\n{row}"


def test_the_readme_is_small() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= MAX_README_BYTES


def test_every_page_is_linked_from_the_readme() -> None:
    pages = {name for name in PAGES if Path(name).parent == Path("docs")}
    assert pages - {path for path, _ in LINK.findall(PAGES["README.md"])} == set()


def test_every_decision_is_linked_from_the_architecture_page() -> None:
    linked = {f"docs/{path}" for path, _ in LINK.findall(PAGES["docs/architecture.md"])}
    assert {name for name in PAGES if name.startswith("docs/decisions/")} - linked == set()


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("docs/decisions/")])
def test_a_decision_is_at_most_two_pages(name: str) -> None:
    assert len(PAGES[name].encode()) <= MAX_DECISION_BYTES


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_resolves(name: str) -> None:
    broken = []
    for path, anchor in LINK.findall(PAGES[name]):
        target = (ROOT / name).parent / path if path else ROOT / name
        if not path.startswith(("http://", "https://")) and (
            not target.exists() or (anchor and anchor not in anchors(target.read_text()))
        ):
            broken.append(f"{path}#{anchor}" if anchor else path)
    assert not broken, f"{name} has broken links: {', '.join(broken)}"


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_a_page_names_exists(name: str) -> None:
    missing = sorted({path for path in NAMED_FILE.findall(PAGES[name]) if not any(ROOT.glob(path.rstrip("/")))})
    assert not missing, f"{name} names files that do not exist: {', '.join(missing)}"


def test_every_page_that_the_code_names_exists() -> None:
    packages = ("app", "couchapp", "launcher", "tests", "proofs", "bench")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    named = {(page, path.name) for path in files for page in NAMED_PAGE.findall(path.read_text())}
    missing = sorted(f"{page} in {file}" for page, file in named if page not in PAGES)
    assert not missing, f"the code names pages that do not exist: {', '.join(missing)}"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting: object) -> None:
    row = next(row for row in SETTINGS if row is setting)
    default = row.shown_default if "`" in row.shown_default or row.shown else f"`{row.shown_default}`"
    assert_row(CONFIGURATION, f"`{row.name}`", default, row.help)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_in_help(setting: object) -> None:
    row = next(row for row in SETTINGS if row is setting)
    assert row.name in parser().format_help()
    assert row.help in parser().format_help()


def test_no_other_setting_is_documented() -> None:
    documented = set(re.findall(r"^\| `((?:DREAMSCRIPT|COUCHDB)_[A-Z_]+)` \|", CONFIGURATION, re.MULTILINE))
    assert documented == {row.name for row in SETTINGS}


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_code_is_documented(error: type[ServiceError]) -> None:
    assert_row_begins(API, str(error.status), f"`{error.code}`")


def test_no_other_error_code_is_documented() -> None:
    documented = re.findall(r"^\| [45]\d\d \| `(\w+)` \|", API, re.MULTILINE)
    assert set(documented) == {error.code for error in ERRORS}


@pytest.mark.parametrize(("scope", "meaning"), SCOPES.items())
def test_every_scope_is_documented(scope: str, meaning: str) -> None:
    assert_row(KEYS, f"`{scope}`", meaning)


def routes() -> list[str]:
    """Return every operation as `METHOD /path/{id}`, with `{tag}` for a revision."""
    rules = create_app(OFFLINE_SETTINGS).flask.url_map.iter_rules()
    return sorted(
        f"{method} {re.sub('<id:[^>]*>', '{id}', rule.rule).replace('<revision:tag>', '{tag}')}"
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.rule.startswith("/reference/")
    )


@pytest.mark.parametrize("route", routes())
def test_every_route_is_documented(route: str) -> None:
    assert_row_begins(API, f"`{route}`")


def test_no_other_route_is_documented() -> None:
    assert set(re.findall(r"^\| `([A-Z]+ /[^`]*)` \|", API, re.MULTILINE)) == set(routes())


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_metric_is_documented(metric: Metric) -> None:
    assert_row(OPERATIONS, f"`{metric.series_name}`", metric.help)


def test_no_other_metric_is_documented() -> None:
    documented = set(re.findall(r"^\| `(dreamscript_\w+)` \|", OPERATIONS, re.MULTILINE))
    assert documented == {metric.series_name for metric in METRICS.values()}


@pytest.mark.parametrize("label", sorted({label for metric in METRICS.values() for label in metric.labels}))
def test_every_label_is_documented(label: str) -> None:
    assert re.search(rf"^\| .*`{label}`.* \|", OPERATIONS, re.MULTILINE)


def targets() -> list[str]:
    """Return the Makefile's targets that `make help` shows."""
    return re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("target", targets())
def test_every_make_target_is_documented(target: str) -> None:
    pages = (PAGES["README.md"], OPERATIONS, CONTRIBUTING)
    assert any(re.search(rf"\bmake {target}(?![a-z-])", page) for page in pages)


@pytest.mark.parametrize("command", ["run", "demo", "serve", "feeds renew"])
def test_every_command_is_documented(command: str) -> None:
    assert f"python -m app {command}" in OPERATIONS


@pytest.mark.parametrize("verb", ["create", "list", "rotate", "revoke"])
def test_every_command_for_keys_is_documented(verb: str) -> None:
    assert f"python -m app keys {verb}" in OPERATIONS


@pytest.mark.parametrize("verb", ["list", "show", "resolve"])
def test_every_command_for_conflicts_is_documented(verb: str) -> None:
    assert f"python -m app conflicts {verb}" in OPERATIONS


@pytest.mark.parametrize("verb", ["diff", "stage", "warm", "promote", "rollback", "clean", "deploy", "status", "user"])
def test_every_verb_of_the_deploy_tool_is_documented(verb: str) -> None:
    assert_row_begins(OPERATIONS, f"`{verb}`")
