"""Redocly and Spectral find nothing to complain about in the OpenAPI document, by their default rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.api.openapi.tools import INSTALL_SECONDS, PINS, install_node_tools, node_command, run
from tests.api.operations import DOCUMENT

pytestmark = pytest.mark.timeout(INSTALL_SECONDS)

# Lints files with the tools of a folder, and returns the rules that each file breaks, warnings and hints included.
Linter = Callable[[Path, Sequence[Path]], dict[str, list[str]]]


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the installed linters."""
    return install_node_tools()


def redocly(tools: Path, files: Sequence[Path]) -> dict[str, list[str]]:
    """Return the rules of Redocly that each file breaks, by its name."""
    rules = {}
    for file in files:
        arguments = ("lint", str(file), "--config", str(PINS / "redocly.yaml"), "--format", "json")
        report = json.loads(run(node_command(tools, "redocly", *arguments), statuses=(0, 1)))
        rules[file.name] = [problem["ruleId"] for problem in report["problems"]]
    return rules


def spectral(tools: Path, files: Sequence[Path]) -> dict[str, list[str]]:
    """Return the rules of Spectral that each file breaks, by its name; one run takes seconds, and lints all files."""
    arguments = ("lint", *map(str, files), "--ruleset", str(PINS / ".spectral.yaml"), "--format", "json", "--quiet")
    report = json.loads(run(node_command(tools, "spectral", *arguments), statuses=(0, 1)))
    return {
        file.name: [problem["code"] for problem in report if Path(problem["source"]).name == file.name]
        for file in files
    }


@pytest.mark.parametrize(("linter", "rule"), [(redocly, "no-empty-servers"), (spectral, "oas3-api-servers")])
def test_a_linter_finds_faults_only_where_there_are_some(
    tools: Path, tmp_path: Path, linter: Linter, rule: str
) -> None:
    served, faulty = tmp_path / "served.json", tmp_path / "faulty.json"
    served.write_text(json.dumps(DOCUMENT))
    faulty.write_text(json.dumps({**DOCUMENT, "servers": []}))
    assert linter(tools, [served, faulty]) == {"served.json": [], "faulty.json": [rule]}


def test_the_lock_file_names_no_registry() -> None:
    """A lock file with the addresses of one machine's registry installs nowhere else."""
    packages = json.loads((PINS / "package-lock.json").read_text())["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
