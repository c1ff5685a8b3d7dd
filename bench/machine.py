"""Describes the machine that something was measured on."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path


def value(text: str, name: str) -> str:
    """Return what ``name`` is in a file of /proc that has a name and a value on each line."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else "unknown"


def describe(database: str) -> str:
    """Return one line on the machine, and the versions that it was measured with."""
    model = value(Path("/proc/cpuinfo").read_text(), "model name")
    kib = value(Path("/proc/meminfo").read_text(), "MemTotal").split()[0]
    memory = f"{int(kib) / 2**20:.1f} GiB" if kib.isdecimal() else "unknown"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {model}, {os.cpu_count()} cores, {memory} of memory, "
        f"Linux {platform.release()}; {database}, Python {platform.python_version()}"
    )
