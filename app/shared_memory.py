"""Memory that forked processes share, with locks that end with their process."""

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
    """``size`` bytes of zeros; pages that are never written cost no memory.

    Its locks are the system's, which releases them however their process ends.
    """

    def __init__(self, size: int) -> None:
        self._file = _nameless_file(size)
        weakref.finalize(self, os.close, self._file)
        self.bytes = mmap.mmap(self._file, 0)
        self._threads = Lock()

    @contextmanager
    def locked(self, place: int) -> Iterator[None]:
        """Hold the lock of the byte at ``place``, exclusively among all threads and processes. Raises OSError."""
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, 1, place)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def claim(self, place: int) -> bool:
        """Lock the byte at ``place`` for the life of this process; return False if another process holds it."""
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            return True
        return False

    def release(self, place: int) -> None:
        """Release a claimed byte."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


def _nameless_file(size: int) -> int:
    """Return the descriptor of an empty, unnamed file; on Linux it is in memory."""
    if sys.platform == "linux":
        file = os.memfd_create("dreamscript")
    else:
        file, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(file, size)
    return file
