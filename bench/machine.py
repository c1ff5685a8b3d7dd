"""Describe the machine of a measurement."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path


def value(text: str, name: str) -> str:
    """Return the value of ``name`` in a file of /proc with a name and a value on each line."""
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", text, re.MULTILINE)
    return match[1] if match else "unknown"


def describe(database: str) -> str:
    """Return one line with the machine and the versions of the software."""
    model = value(Path("/proc/cpuinfo").read_text(), "model name")
    kib = value(Path("/proc/meminfo").read_text(), "MemTotal").split()[0]
    memory = f"{int(kib) / 2**20:.1f} GiB" if kib.isdecimal() else "unknown"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {model}, {os.cpu_count()} cores, {memory} of memory, "
        f"Linux {platform.release()}; {database}, Python {platform.python_version()}"
    )
