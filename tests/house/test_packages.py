"""Packages import in one direction only, and the words of CouchDB's write semantics stay in the store."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]

LEAVES = {
    "app.settings",
    "app.errors",
    "app.metric_definitions",
    "app.metrics",
    "app.request_context",
    "app.retention",
    "app.shared_memory",
    "app.shared_series",
    "app.urls",
    "app.version",
}

# The store's values, which every package above it may name.
STORED = {"app.store.items"}

# The packages of this project that each package may import, besides itself and the leaves.
MAY_IMPORT: dict[str, set[str]] = {
    "app": {"app.api", "app.cache", "app.http", "app.services", "app.wiring"},
    "app.__main__": {"app.cli", "couchapp.console"},
    "app.services": {"app.cache", "app.domain", "app.limits", "app.store"},
    "app.item_wiring": {"app.cache", "app.domain", "app.services", "app.store"},
    "app.wiring": {"app.cache", "app.domain", "app.item_wiring", "app.limits", "app.services", "app.store"},
    "app.server": {"app", "app.domain", "app.http", "app.services", "launcher.address"},
    "app.cli": {
        "app.couch",
        "app.domain",
        "app.http",
        "app.limits",
        "app.local_couchdb",
        "app.schemas",
        "app.server",
        "app.services",
        "app.wiring",
        "couchapp",
        "launcher",
        *STORED,
    },
    "app.api": {"app.domain", "app.http", "app.schemas", "app.services", *STORED},
    "app.http": {"app.domain", "app.limits", "app.services", *STORED},
    "app.schemas": {"app.domain", *STORED},
    "app.cache": {"app.domain", "app.http", "app.limits", "app.store"},
    "app.domain": {"app.store", "couchapp.diff", "couchapp.tree"},
    "app.store": {"app.couch"},
    "app.couch": set(),
    "app.limits": set(),
    "app.local_couchdb": {"couchapp.settings", "launcher.commands", "launcher.steps"},
    "app.settings": {"app.local_couchdb.settings", "app.limits.policies", "couchapp.settings", "launcher.settings"},
    "app.limits.policies": set(),
    "app.errors": set(),
    "app.metric_definitions": set(),
    "app.metrics": set(),
    "app.request_context": set(),
    "app.retention": set(),
    "app.shared_memory": set(),
    "app.shared_series": set(),
    "app.urls": set(),
    "app.version": set(),
    "couchapp": {"app.couch"},
    "launcher": {"couchapp.console", "couchapp.running", "couchapp.server_check", "couchapp.settings"},
}

# Third-party packages that only some of ours may import.
ONLY_IN: dict[str, set[str]] = {
    "cachetools": {"app.cache", "app.domain"},
    "couchdb": {"app.couch"},
    "cryptography": {"app.domain"},
    "flask": {"app", "app.api", "app.http"},
    "werkzeug": {"app", "app.api", "app.http"},
    "limits": {"app.limits", "app.limits.policies"},
    "marshmallow": {"app.api", "app.http", "app.schemas"},
    "prometheus_client": {"app.api"},
    "redis": {"app.limits"},
    "httptools": {"app.couch", "app.server"},
    "uvicorn": {"app.server"},
    "uvloop": {"app.server"},
}


# CouchDB's own members and requests, and the nonce of a write: the packages above the store do not know them.
STORE_WORDS = re.compile(r'(?<![a-z])_rev\b|(?<![a-z])_deleted\b|_bulk_docs|nonce|"_id"', re.IGNORECASE)
BELOW = {"app.store", "app.couch", "app.local_couchdb"}


@cache
def modules() -> list[tuple[str, ast.Module]]:
    """Return the dotted name and the syntax tree of every module of the project."""
    parsed = []
    for package in ("app", "couchapp", "launcher"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                parsed.append((name, ast.parse(path.read_text())))
    return parsed


def package_of(module: str) -> str:
    """Return the package that ``module`` is in: the longest name in MAY_IMPORT."""
    parts = module.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next(name for name in candidates if name in MAY_IMPORT)


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of everything that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(own: str, name: str) -> bool:
    """Return whether the package ``own`` may import ``name``."""
    reachable = MAY_IMPORT[own] | {own} | (set() if own in ("couchapp", "launcher") else LEAVES)
    if own == "app":
        return any(name.startswith(f"{other}.") for other in reachable - {"app"})
    if name.startswith("app.") and "app" in reachable and name.count(".") == 1:
        return True
    return any(name == other or name.startswith(f"{other}.") for other in reachable - {"app"})


def test_every_import_goes_where_it_may() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, tree in modules()
        for name in imports(tree)
        if name.split(".")[0] in ("app", "couchapp", "launcher") and not allowed(package_of(module), name)
    ]
    assert wrong == []


def test_only_the_store_knows_revisions_tombstones_and_nonces() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number} says {word[0]}"
        for path in sorted((ROOT / "app").rglob("*.py"))
        if ".".join(("app", *path.relative_to(ROOT / "app").parts[:1])) not in BELOW
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (word := STORE_WORDS.search(line))
    ]
    assert wrong == []


@pytest.mark.parametrize(("line", "is_found"), [('item["_rev"]', True), ("self.nonce", True), ("is_deleted", False)])
def test_the_words_of_the_store_are_recognised(line: str, is_found: bool) -> None:
    assert bool(STORE_WORDS.search(line)) is is_found


def test_third_party_packages_are_imported_only_where_they_may() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, tree in modules()
        for name in imports(tree)
        if package_of(module) not in ONLY_IN.get(name.split(".")[0], {package_of(module)})
    ]
    assert wrong == []


def test_imports_stand_at_the_top() -> None:
    wrong = [
        f"{module}:{inner.lineno}"
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert wrong == []


def test_every_module_opens_with_one_sentence() -> None:
    wrong = []
    for module, tree in modules():
        opening = (ast.get_docstring(tree) or "").split("\n\n")[0].split("\n")[0]
        if not opening.endswith((".", "?")):
            wrong.append(module)
    assert wrong == []


@pytest.mark.parametrize(
    ("own", "name", "may"),
    [
        ("app.domain", "app.store.Database", True),
        ("app.domain", "app.http.answers", False),
        ("app.domain", "app.cache.items.BodyCache", False),
        ("app.store", "app.cache.validity.WriteCounters", False),
        ("app.store", "app.domain.resources", False),
        ("app.store", "app.couch.connection.Connection", True),
        ("app.store", "couchapp.deployment", False),
        ("couchapp", "app.errors", False),
        ("couchapp", "couchapp.tree", True),
        ("app.server", "app.create_app", True),
        ("app.cli", "app.store.Store", False),
        ("app.http", "app.api.documents", False),
        ("app.http", "app.errors", True),
        ("app.limits", "app.domain.access", False),
        ("app.settings", "app.limits.limiter", False),
    ],
)
def test_this_test_can_fail(own: str, name: str, may: bool) -> None:
    assert allowed(own, name) is may
