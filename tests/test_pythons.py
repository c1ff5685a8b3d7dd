"""The other Pythons of this machine are found, tried and reported, the absent ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pythons

pytestmark = pytest.mark.nodatabase


def has(folder: Path, program: str, script: str) -> str:
    """Put a program into ``folder`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / program).write_text(f"#!/bin/sh\n{script}\n")
    (folder / program).chmod(0o755)
    return str(folder)


def test_pyenvs_pythons_come_after_those_on_the_path(tmp_path: Path) -> None:
    place = has(tmp_path / ".pyenv/versions/3.12.1/bin", "python3.12", "echo 3.12")
    assert pythons.folders("/one:/two", tmp_path) == ["/one", "/two", place]


def test_a_python_that_does_not_run_or_is_another_version_is_passed_over(tmp_path: Path) -> None:
    broken = has(tmp_path / "broken", "python3.12", "exit 127")
    other = has(tmp_path / "other", "python3.12", "echo 3.10")
    right = has(tmp_path / "right", "python3.12", "echo 3.12")
    assert pythons.find("3.12", [broken, other, right]) == f"{right}/python3.12"
    assert pythons.find("3.12", [broken, other]) is None
    assert pythons.find("3.13", [right]) is None


@pytest.mark.parametrize(("status", "outcome", "result"), [(0, "passed", 0), (5, "failed: pytest ended with 5", 1)])
def test_each_outcome_is_reported_and_a_failure_fails(
    status: int,
    outcome: str,
    result: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = has(tmp_path, "python3.12", "echo 3.12")
    has(tmp_path, "inside", f"exit {status}")
    monkeypatch.setenv("PATH", place)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(pythons, "VERSIONS", ("3.12", "3.99"))
    monkeypatch.setattr(pythons, "prepare", lambda _version, _python: f"{place}/inside")
    assert pythons.main([]) == result
    shown = capsys.readouterr().out
    assert f"Python 3.12: {outcome}\n" in shown
    assert "Python 3.99: not installed here, so not tried\n" in shown
