"""Check that requirements.txt alone is enough to run the service."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest

pytestmark = pytest.mark.nodatabase

ROOT = Path(__file__).parents[2]
OWN = {"app", "couchapp", "launcher"}
TYPES_ONLY = {"_typeshed"}


def distribution(requirement: str) -> str:
    """Return the normalised name of the package that a requirement names (PEP 503)."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def installed_by(names: set[str]) -> set[str]:
    """Return these packages and all that they require, extras aside."""
    needed = {distribution(line) for name in names for line in requires(name) or () if "extra ==" not in line}
    present = {distribution(name) for each in packages_distributions().values() for name in each}
    new = (needed & present) - names
    return installed_by(names | new) if new else names


def imported() -> Iterator[str]:
    """Yield the top-level package of every import in the service."""
    for path in (path for package in OWN for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())) if "node_modules" not in path.parts else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]
            elif isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)


def test_the_service_imports_only_its_own_requirements() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    available = installed_by({distribution(line) for line in lines if line and not line.startswith("#")})
    foreign = set(imported()) - OWN - TYPES_ONLY - sys.stdlib_module_names
    providers = packages_distributions()
    assert {name for name in foreign if not {distribution(each) for each in providers[name]} & available} == set()
