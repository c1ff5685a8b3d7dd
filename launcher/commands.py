"""Runs pip, npm and the like: reports each line of output, and explains a failure."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from launcher.steps import Report

SHOWN_LINES = 12
MAX_LINE_CHARS = 300
NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|NameResolution|ReadTimeout|Connection (?:refused|reset|broken)|ProxyError"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network (?:request|connectivity)"
)
NO_TRUST = re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(?:GET|VERIFY)")
NO_SPACE = re.compile(r"No space left|ENOSPC|Disk quota")
AGAIN = "Then repeat the command: finished steps are not repeated."
ADVICE = {
    NO_SPACE: "The disk is full: free some space.",
    NO_TRUST: "The certificate of the package registry is not trusted. Behind a proxy that inspects TLS, set PIP_CERT"
    " and NODE_EXTRA_CA_CERTS to the file with its certificate.",
    NO_NETWORK: "The package registry cannot be reached. Check the network; behind a proxy set HTTPS_PROXY; for a"
    " mirror set PIP_INDEX_URL (Python) or NPM_CONFIG_REGISTRY (Node).",
}


class CommandFailed(Exception):
    """A command failed; the message has its purpose, advice for known causes and the end of its output."""


def run(purpose: str, command: Sequence[str], folder: Path, report: Report) -> None:
    """Run ``command`` in ``folder`` and report each line of its output. Raises CommandFailed.

    ``purpose`` completes "could not …" in a failure's message.
    """
    try:
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise CommandFailed(f"could not {purpose}: {command[0]}: {error.strerror}") from error
    lines: deque[str] = deque(maxlen=1000)
    with process:
        for line in process.stdout or ():
            lines.append(line.rstrip()[:MAX_LINE_CHARS])
            report(lines[-1])
    if process.returncode:
        raise CommandFailed(explained(purpose, list(lines)))


def explained(purpose: str, lines: Sequence[str]) -> str:
    """Return the message for a failure with this output."""
    for pattern, text in ADVICE.items():
        if matches := [line for line in lines if pattern.search(line)]:
            # The lines after it only report its consequences.
            return f"could not {purpose}.\n  {text}\n  {AGAIN}\n  {matches[-1].strip()}"
    tail = "".join(f"\n    {line}" for line in lines[-SHOWN_LINES:] if line) or "\n    (none)"
    return f"could not {purpose}.\n  The last lines of its output:{tail}"
