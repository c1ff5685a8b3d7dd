"""Starts a database server in its own folder, at most one per folder; it ends when its starter ends."""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from app.local_couchdb.wire import read

T = TypeVar("T")

KEEPER = Path(__file__).with_name("keeper.py")
START_SECONDS = 60.0  # The embedded server takes about 1, CouchDB 2 to 5.
STOP_SECONDS = 20.0  # The keeper kills the server after 10.
LOG_TAIL_LINES = 15  # Shown when a start fails.


class StartError(Exception):
    """No database server could be started; the message gives the operator the reason."""


def poll(condition: Callable[[], T], seconds: float) -> T:
    """Return the first truthy value of ``condition``, or its last value after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def admin(directory: Path) -> str:
    """Return "name:password" of the administrator of ``directory``, generated once into a private file."""
    file = directory / "admin"
    if not file.exists():
        new = directory / f"admin.{os.getpid()}"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(f"admin:{secrets.token_hex(16)}")
        new.rename(file)
    return file.read_text()


@dataclass(frozen=True)
class Command:
    """A command to run a server: its arguments, and variables to add to our environment."""

    arguments: list[str]
    environ: Mapping[str, str] = field(default_factory=dict)


def lock_folder(directory: Path) -> int:
    """Lock ``directory`` and return the lock's descriptor. Raises StartError.

    Wait for a server that is stopping, and kill one whose keeper was killed, since nothing else would end it.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)

    def locked() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not locked():
        end_orphan(directory)
    if not poll(locked, STOP_SECONDS):
        os.close(descriptor)
        raise StartError(
            f"a database server already runs in {directory}: stop the make run that started it, or kill its "
            f"remaining processes with: kill -9 -- -{(directory / 'lock').read_text()}"
        )
    return descriptor


def end_orphan(directory: Path) -> None:
    """Kill the process group of the server in ``directory`` if its keeper, the group's leader, has ended."""
    keeper = (directory / "lock").read_text()
    if not keeper:
        return
    try:
        os.kill(int(keeper), 0)
    except ProcessLookupError:
        with suppress(ProcessLookupError):
            os.killpg(int(keeper), signal.SIGKILL)


class Server:
    """A running database server; ``url`` contains its administrator's credentials and has no trailing slash."""

    def __init__(self, directory: Path, prepare: Callable[[Path, int], Command], ready_path: str = "/_users") -> None:
        """Run the command that ``prepare`` returns for ``directory`` and a port, 0 for any. Raises StartError.

        The server writes its URL to the file ``uri`` there. It is ready once it answers at ``ready_path``: CouchDB
        answers before it has created the database `_users`, and has no users until then.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory, self._log, self._prepare = directory, directory / "log", prepare
        self._ready_path = ready_path
        self._keeper = self._run(port=0)
        self.url = self._await_url()

    @property
    def has_ended(self) -> bool:
        """Whether the server has ended, without ``stop`` or with it."""
        return self._keeper.poll() is not None

    def restart(self) -> None:
        """Run a server that has ended once more, at the same URL. Does not wait until it answers. Raises StartError."""
        assert self._keeper.stdin
        self._keeper.stdin.close()
        self._keeper = self._run(urlsplit(self.url).port or 0)

    def last_lines(self, count: int) -> list[str]:
        """Return the end of the server's log."""
        return self._log.read_text(errors="replace").splitlines()[-count:]

    def stop(self) -> None:
        """Stop the server and all processes that it started. May be called again."""
        assert self._keeper.stdin
        self._keeper.stdin.close()
        try:
            self._keeper.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait()

    def _run(self, port: int) -> subprocess.Popen[bytes]:
        lock = lock_folder(self._directory)
        try:
            (self._directory / "uri").unlink(missing_ok=True)
            keeper = self._spawn(self._prepare(self._directory, port), lock)
            os.truncate(lock, 0)
            os.pwrite(lock, str(keeper.pid).encode(), 0)
        finally:
            os.close(lock)
        return keeper

    def _spawn(self, command: Command, lock: int) -> subprocess.Popen[bytes]:
        if self._log.exists():
            self._log.replace(self._log.with_name("log.previous"))
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", str(KEEPER), str(lock), *command.arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self._directory,
                env={**os.environ, **command.environ},
                pass_fds=[lock],
                start_new_session=True,
            )

    def _await_url(self) -> str:
        def ready() -> str | None:
            if self._keeper.poll() is not None:
                raise self._failure("it ended")
            url = self._announced_url()
            return url if url and read(url, self._ready_path) else None

        try:
            url = poll(ready, START_SECONDS)
            if not url:
                raise self._failure(f"it did not answer within {START_SECONDS:.0f} seconds")
        except BaseException:
            self.stop()
            raise
        return url

    def _announced_url(self) -> str | None:
        try:
            parts = urlsplit((self._directory / "uri").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None
        return f"http://{admin(self._directory)}@{parts.netloc}"

    def _failure(self, reason: str) -> StartError:
        tail = "".join(f"\n    {line}" for line in self.last_lines(LOG_TAIL_LINES))
        return StartError(
            f"the database server in {self._directory} did not start: {reason}. {self._log} ends with:{tail}"
        )
