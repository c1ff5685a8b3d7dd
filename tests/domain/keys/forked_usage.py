"""Note one key before a fork and another after it: `python -m tests.domain.keys.forked_usage URL PREFIX`."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

from app.domain.keys.usage import Usage
from app.store import Store

PATIENCE = 30


class Lingering(datetime):
    """A moment whose comparison, under the lock of the notes, blocks until the process has forked."""

    compared, forked = Event(), Event()

    def __gt__(self, other: Any) -> bool:
        """Compare after the fork."""
        self.compared.set()
        self.forked.wait(PATIENCE)
        return super().__gt__(other)


def write_as_child(usage: Usage) -> None:
    """Note a key, and print the stored uses when this process's own thread has written them."""
    usage.note(2, datetime(2026, 1, 2, tzinfo=UTC))
    patience = time.monotonic() + PATIENCE
    while 2 not in usage.last_used([1, 2]) and time.monotonic() < patience:
        time.sleep(0.01)
    os.write(1, f"child {usage.last_used([1, 2])}\n".encode())


def main(url: str, prefix: str) -> None:
    """Fork in the middle of a note; let the child's thread write, and then let the parent end."""
    parent = os.getpid()
    usage = Usage(Store(url, prefix)["meta"], pause=lambda ending: ending.wait(60 if os.getpid() == parent else 0.01))
    noting = Thread(target=usage.note, args=(1, Lingering(2026, 1, 1, tzinfo=UTC)))
    noting.start()
    Lingering.compared.wait(PATIENCE)
    child = os.fork()
    if child == 0:
        write_as_child(usage)
        os._exit(0)
    os.waitpid(child, 0)
    Lingering.forked.set()
    noting.join()
    usage.close()
    os.write(1, f"parent {usage.last_used([1, 2])}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
