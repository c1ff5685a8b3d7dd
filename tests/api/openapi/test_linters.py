"""Redocly and Spectral find nothing to complain about in the OpenAPI document, by their default rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.openapi.tools import INSTALL_SECONDS, PINS, install_node_tools, node_command, run
from tests.api.operations import DOCUMENT

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

# Returns the rules that the file breaks, as the tools of a folder judge it.
Linter = Callable[[Path, Path], list[str]]


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the installed linters."""
    return install_node_tools()


def redocly(tools: Path, file: Path) -> list[str]:
    """Return the rules of Redocly that the file breaks, warnings included."""
    arguments = ("lint", str(file), "--config", str(PINS / "redocly.yaml"), "--format", "json")
    report = json.loads(run(node_command(tools, "redocly", *arguments), statuses=(0, 1)))
    return [problem["ruleId"] for problem in report["problems"]]


def spectral(tools: Path, file: Path) -> list[str]:
    """Return the rules of Spectral that the file breaks, warnings and hints included."""
    arguments = ("lint", str(file), "--ruleset", str(PINS / ".spectral.yaml"), "--format", "json", "--quiet")
    report = json.loads(run(node_command(tools, "spectral", *arguments), statuses=(0, 1)))
    return [problem["code"] for problem in report]


@pytest.mark.parametrize(("linter", "rule"), [(redocly, "no-empty-servers"), (spectral, "oas3-api-servers")])
def test_a_linter_finds_faults_only_where_there_are_some(
    tools: Path, tmp_path: Path, linter: Linter, rule: str
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(DOCUMENT))
    assert linter(tools, file) == []
    file.write_text(json.dumps({**DOCUMENT, "servers": []}))
    assert linter(tools, file) == [rule]


def test_the_lock_file_names_no_registry() -> None:
    """A lock file with the addresses of one machine's registry installs nowhere else."""
    packages = json.loads((PINS / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
