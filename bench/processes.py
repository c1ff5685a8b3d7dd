"""Reads from /proc what processes use: CPU time, memory and descriptors, of a process and all that it started."""

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
    """What /proc/<pid>/stat tells: the parent, and the seconds used by the process and by those it waited for."""

    parent: int
    seconds: float


@dataclass(frozen=True)
class Memory:
    """MiB that a process has in memory, and its share of them where others have the same pages."""

    rss: float
    pss: float


@dataclass(frozen=True)
class Descriptors:
    """How many descriptors are open, and how many of those are sockets."""

    all: int
    sockets: int


def parse_stat(text: str) -> Stat:
    """Return what a line of /proc/<pid>/stat says; the name in it may hold spaces and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(int(fields[1]), sum(map(int, fields[11:15])) / TICKS)


def parse_memory(text: str) -> Memory:
    """Return what /proc/<pid>/smaps_rollup says."""
    found = {name: int(kib) / 1024 for name, kib in KIB.findall(text)}
    return Memory(found["Rss"], found["Pss"])


def tree(stats: dict[int, Stat], roots: Iterable[int]) -> list[int]:
    """Return those of ``roots`` that are there and all that descends from them, parents first."""
    found = [pid for pid in roots if pid in stats]
    for pid in found:
        found += [child for child, stat in stats.items() if stat.parent == pid and child not in found]
    return found


def stats() -> dict[int, Stat]:
    """Return every process of this machine."""
    found = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            found[int(folder.name)] = parse_stat((folder / "stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has ended meanwhile.
    return found


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` started and that run."""
    return [child for child, stat in stats().items() if stat.parent == pid]


def cpu(roots: Iterable[int]) -> float:
    """Return the CPU seconds that ``roots`` and all that they started have used so far."""
    now = stats()
    return sum(now[pid].seconds for pid in tree(now, roots))


def descendants(pid: int) -> list[int]:
    """Return all that runs below ``pid``."""
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
            continue  # It was closed meanwhile.
    return Descriptors(len(names), sum(name.startswith("socket:") for name in names))
