"""Records which `make run` uses a folder, by a lock that the system releases when its processes end."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "make-run"
# A look at the lock holds it for a moment.
LOOK_SECONDS = 0.3
PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Run:
    """A `make run`: the id of its first process, and the address that it serves, empty until then."""

    pid: int
    address: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether its first process runs; its workers and its database end some seconds later."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class RunningElsewhere(Exception):
    """A `make run` uses the folder, or the last processes of one."""

    def __init__(self, folder: Path, run: Run | None) -> None:
        self.folder, self.run = folder, run
        at = f" on {run.address}" if run and run.address else ""
        by = f" (process {run.pid}); stop it with Ctrl-C in its terminal or with `kill {run.pid}`" if run else ""
        super().__init__(
            f"`make run` is already running{at} with the data in {folder}{by}.\n"
            "  For a second one, set another DREAMSCRIPT_VAR and another DREAMSCRIPT_PORT."
        )


class Claim:
    """The use of a folder, until ``close`` or the end of this process and of those that it forks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.announce("")

    def announce(self, address: str) -> None:
        """Record this process and the address that it serves."""
        record = json.dumps(asdict(Run(os.getpid(), address))).encode()
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, record, 0)

    def close(self) -> None:
        """Let another `make run` use the folder."""
        os.close(self._descriptor)


def claim(folder: Path) -> Claim:
    """Reserve ``folder`` for a `make run`. Raises RunningElsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o600)
    if not _lock(descriptor, fcntl.LOCK_EX):
        os.close(descriptor)
        raise RunningElsewhere(folder, _read(folder))
    return Claim(descriptor)


def current(folder: Path) -> Run | None:
    """Return the `make run` that uses ``folder``, None if none does."""
    return None if _is_free(folder) else _read(folder)


def is_abandoned(folder: Path) -> bool:
    """Return whether a `make run` used ``folder`` and none does any more."""
    return (folder / NAME).exists() and _is_free(folder)


def _is_free(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return True
    try:
        return _lock(descriptor, fcntl.LOCK_SH, seconds=0)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, kind: int, seconds: float = LOOK_SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)


def _read(folder: Path) -> Run | None:
    try:
        return Run(**json.loads((folder / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
