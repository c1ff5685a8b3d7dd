"""Memory that forked processes share, with locks that end with their process."""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
import weakref
from contextlib import AbstractContextManager, suppress
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

    def locked(self, place: int) -> Locked:
        """Hold the lock of the byte at ``place``, exclusively among all threads and processes. Raises OSError."""
        return Locked(self._file, self._threads, place)

    def claim(self, place: int) -> bool:
        """Lock the byte at ``place`` for the life of this process; return False if another process holds it."""
        with suppress(BlockingIOError, PermissionError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            return True
        return False

    def release(self, place: int) -> None:
        """Release a claimed byte."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


# A lock is held for some microseconds, and going to sleep and being woken takes many times as long. So it is tried
# this often before the process waits for it.
TRIES = 20


class Locked(AbstractContextManager[None]):
    """Hold the lock of a byte in a file. Every limited request does; a generator would double the time it takes."""

    def __init__(self, file: int, threads: Lock, place: int) -> None:
        self._file, self._threads, self._place = file, threads, place

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            self._lock()
        except BaseException:
            self._threads.release()
            raise

    def _lock(self) -> None:
        for _ in range(TRIES):
            with suppress(BlockingIOError, PermissionError):
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
                return
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self._place)

    def __exit__(self, *_: object) -> None:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._place)
        finally:
            self._threads.release()


def _nameless_file(size: int) -> int:
    """Return the descriptor of an unnamed file of ``size`` zeros; on Linux it is in memory."""
    if sys.platform == "linux":
        file = os.memfd_create("dreamscript")
    else:
        file, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(file, size)
    return file
