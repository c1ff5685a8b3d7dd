"""Check that a failed installation is explained: its purpose, advice for known causes, and its last lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launcher import commands
from launcher.commands import CommandFailed

pytestmark = pytest.mark.nodatabase

PIP_WITHOUT_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by \
'NewConnectionError('<urllib3 object>: Failed to establish a new connection: [Errno -3] Temporary failure in name \
resolution')': /simple/flask/
ERROR: Could not find a version that satisfies the requirement flask==3.1.3 (from versions: none)
ERROR: No matching distribution found for flask==3.1.3"""
NPM_WITHOUT_NETWORK = "npm error code ENOTFOUND\nnpm error network request to https://registry failed"


def test_each_line_is_reported(tmp_path: Path) -> None:
    lines: list[str] = []
    program = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)"
    commands.run("do it", [sys.executable, "-c", program], tmp_path, lines.append)
    assert lines == ["out", "err"]


def test_a_failure_shows_its_last_lines(tmp_path: Path) -> None:
    program = "print(*range(40), sep='\\n'); raise SystemExit(3)"
    with pytest.raises(CommandFailed) as raised:
        commands.run("do it", [sys.executable, "-c", program], tmp_path, lambda _: None)
    message = str(raised.value)
    assert message.startswith("could not do it.\n  The last lines of its output:\n    28\n")
    assert message.endswith("\n    39")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^could not do it: /nonexistent/npm: No such file"):
        commands.run("do it", ["/nonexistent/npm"], tmp_path, lambda _: None)


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        (PIP_WITHOUT_NETWORK, "cannot be reached. Check the network; behind a proxy set HTTPS_PROXY; for a mirror"),
        (NPM_WITHOUT_NETWORK, "NPM_CONFIG_REGISTRY"),
        ("npm error connect ECONNREFUSED 127.0.0.1:1", "cannot be reached"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] …", "PIP_CERT"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
    ],
)
def test_a_known_cause_has_advice(output: str, advice: str) -> None:
    message = commands.explained("install the packages", output.splitlines())
    assert advice in message
    assert "Then repeat the command" in message


def test_an_unknown_cause_has_no_advice() -> None:
    assert commands.explained("do it", []) == "could not do it.\n  The last lines of its output:\n    (none)"
