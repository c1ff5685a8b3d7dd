"""Check that packages are installed once, and again when their pins change or the environment is broken."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest

from launcher import commands
from launcher.commands import CommandFailed
from launcher.packages import SERVICE, TOOLS, install
from launcher.steps import Report, Steps

pytestmark = pytest.mark.nodatabase

CREATE, PIP = "create the environment", "install packages"


class Project:
    """A checkout whose commands are recorded and create empty files."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.failure = root, ""
        self.calls: list[str] = []
        (root / "tests").mkdir()
        for file in ("requirements.txt", "tests/requirements.txt", "constraints.txt"):
            (root / file).write_text("flask==3.1.3\n")
        monkeypatch.setattr(commands, "run", self.run)

    def run(self, _purpose: str, command: list[str], _folder: Path, report: Report) -> None:
        is_venv = "venv" in command
        self.calls.append(CREATE if is_venv else PIP)
        report("Collecting flask==3.1.3 (from -r requirements.txt (line 1))")
        if self.failure:
            raise CommandFailed(self.failure)
        if is_venv:
            python = self.root / ".venv" / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.unlink(missing_ok=True)
            python.symlink_to(sys.executable)

    def install(self, *groups: tuple[str, str]) -> list[str]:
        """Return the commands that the installation ran."""
        self.calls.clear()
        install(Steps(StringIO()), groups, self.root)
        return list(self.calls)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path, monkeypatch)


def test_packages_are_installed_once(project: Project) -> None:
    assert project.install(SERVICE) == [CREATE, PIP]
    assert project.install(SERVICE) == []
    assert project.install(SERVICE, TOOLS) == [PIP]
    assert project.install(SERVICE, TOOLS) == []


@pytest.mark.parametrize("file", ["requirements.txt", "constraints.txt"])
def test_changed_pins_are_installed(project: Project, file: str) -> None:
    project.install(SERVICE)
    (project.root / file).write_text("flask==3.1.4\n")
    assert project.install(SERVICE) == [PIP]
    assert project.install(SERVICE) == []


def test_an_interrupted_installation_is_repeated(project: Project) -> None:
    project.failure = "no network"
    with pytest.raises(CommandFailed, match="no network"):
        project.install(SERVICE)
    project.failure = ""
    assert project.install(SERVICE) == [CREATE, PIP]


def test_an_environment_without_python_is_created_again(project: Project) -> None:
    project.install(SERVICE)
    python = project.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent")
    assert project.install(SERVICE) == [CREATE, PIP]


def test_a_missing_ensurepip_names_the_debian_package(project: Project) -> None:
    project.failure = "The virtual environment was not created because ensurepip is not available."
    with pytest.raises(CommandFailed, match="apt install python3-venv"):
        project.install(SERVICE)
