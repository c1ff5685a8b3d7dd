"""Check that requirements.txt alone is enough to run the service, and that constraints.txt pins everything."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import distributions, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


# redis needs async-timeout before Python 3.11.3, which is newer than the one of Debian 12.
@pytest.mark.parametrize("version", ["3.11.0", "3.11.3", "3.12.0", "3.13.0"])
def test_every_dependency_is_pinned_for_every_python(version: str) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {distribution(line) for line in lines if not line.startswith("#")}
    python = {"python_full_version": version, "python_version": version.rpartition(".")[0], "extra": ""}
    installed = [each for each in distributions() if distribution(each.name) in pinned]
    needed = [Requirement(line) for each in installed for line in each.requires or ()]
    assert {distribution(each.name) for each in needed if not each.marker or each.marker.evaluate(python)} <= pinned
