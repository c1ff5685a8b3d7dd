"""Read the CPU time, memory and descriptors of processes and their descendants from /proc."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KIB = re.compile(r"^(Rss|Pss): +(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Stat:
    """From /proc/<pid>/stat: the parent, and the CPU seconds of the process and its reaped children."""

    parent: int
    seconds: float


@dataclass(frozen=True)
class Memory:
    """MiB of a process in memory, and its proportional share of them (PSS)."""

    rss: float
    pss: float


@dataclass(frozen=True)
class Descriptors:
    """The number of open descriptors, and of sockets among them."""

    all: int
    sockets: int


def parse_stat(text: str) -> Stat:
    """Parse a line of /proc/<pid>/stat; the name in it may contain spaces and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(int(fields[1]), sum(map(int, fields[11:15])) / TICKS)


def parse_memory(text: str) -> Memory:
    """Parse /proc/<pid>/smaps_rollup."""
    mib = {name: int(kib) / 1024 for name, kib in KIB.findall(text)}
    return Memory(mib["Rss"], mib["Pss"])


def tree(stats: dict[int, Stat], roots: Iterable[int]) -> list[int]:
    """Return the existing ``roots`` and all of their descendants, parents first."""
    pids = [pid for pid in roots if pid in stats]
    for pid in pids:
        pids += [child for child, stat in stats.items() if stat.parent == pid and child not in pids]
    return pids


def stats() -> dict[int, Stat]:
    """Return every process of this machine."""
    processes = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            processes[int(folder.name)] = parse_stat((folder / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # The process has ended.
    return processes


def children(pid: int) -> list[int]:
    """Return the running children of ``pid``."""
    return [child for child, stat in stats().items() if stat.parent == pid]


def cpu(roots: Iterable[int]) -> float:
    """Return the CPU seconds of ``roots`` and all of their descendants."""
    now = stats()
    return sum(now[pid].seconds for pid in tree(now, roots))


def descendants(pid: int) -> list[int]:
    """Return all descendants of ``pid``."""
    return tree(stats(), [pid])[1:]


def memory(pid: int) -> Memory:
    """Return the memory of one process."""
    return parse_memory((PROC / str(pid) / "smaps_rollup").read_text())


def descriptors(pid: int) -> Descriptors:
    """Return the open descriptors of one process."""
    names = []
    for link in (PROC / str(pid) / "fd").iterdir():
        try:
            names.append(os.readlink(link))
        except FileNotFoundError:
            continue  # The descriptor was closed.
    return Descriptors(len(names), sum(name.startswith("socket:") for name in names))
