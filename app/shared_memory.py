"""Memory that a process shares with those which are forked from it, and locks on it that no death leaves behind."""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock


class SharedMemory:
    """``size`` bytes of zeros; those that are never written cost no memory.

    The system's locks are a process's own, and it lets go of them however the process ends.
    """

    def __init__(self, size: int) -> None:
        self._file = _nameless_file(size)
        weakref.finalize(self, os.close, self._file)
        self.bytes = mmap.mmap(self._file, 0)
        self._threads = Lock()

    @contextmanager
    def locked(self, place: int) -> Iterator[None]:
        """Hold the byte at ``place`` against every other thread and process that asks for it. Raises OSError."""
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, place)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def claim(self, place: int) -> bool:
        """Take the byte at ``place`` for as long as this process lives, unless another process has it."""
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            return True
        return False

    def release(self, place: int) -> None:
        """Let go of a byte that was claimed."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


def _nameless_file(size: int) -> int:
    """Return a descriptor of a file without a name and without content, on Linux in memory."""
    if sys.platform == "linux":
        file = os.memfd_create("dreamscript")
    else:
        file, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(file, size)
    return file
