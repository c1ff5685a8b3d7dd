"""`make test-pythons` finds, runs and reports each Python, the missing ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pythons

pytestmark = pytest.mark.nodatabase


def install(folder: Path, program: str, script: str) -> str:
    """Put a program into ``folder`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return str(folder)


def test_pyenv_folders_come_after_the_path(tmp_path: Path) -> None:
    place = install(tmp_path / ".pyenv/versions/3.12.1/bin", "python3.12", "echo 3.12")
    assert pythons.folders("/one:/two", tmp_path) == ["/one", "/two", place]


def test_a_broken_python_or_another_version_is_skipped(tmp_path: Path) -> None:
    broken = install(tmp_path / "broken", "python3.12", "exit 127")
    other = install(tmp_path / "other", "python3.12", "echo 3.10")
    right = install(tmp_path / "right", "python3.12", "echo 3.12")
    assert pythons.find("3.12", [broken, other, right]) == f"{right}/python3.12"
    assert pythons.find("3.12", [broken, other]) is None
    assert pythons.find("3.13", [right]) is None


@pytest.mark.parametrize(("status", "outcome", "result"), [(0, "passed", 0), (5, "failed: pytest ended with 5", 1)])
def test_each_outcome_is_reported_and_a_failure_sets_the_exit_status(
    status: int,
    outcome: str,
    result: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = install(tmp_path, "python3.12", "echo 3.12")
    install(tmp_path, "inside", f"exit {status}")
    monkeypatch.setenv("PATH", place)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(pythons, "VERSIONS", ("3.12", "3.99"))
    monkeypatch.setattr(pythons, "prepare", lambda _version, _python: f"{place}/inside")
    assert pythons.main([]) == result
    output = capsys.readouterr().out
    assert f"Python 3.12: {outcome}\n" in output
    assert "Python 3.99: not installed here, so not tested\n" in output
