"""Takes ids in four threads and prints each: `python -m tests.store.claimant URL PREFIX REGION COUNT`."""

from __future__ import annotations

import os
import sys
from threading import Thread

from app.domain.resources import DOCUMENT, timestamp
from app.store import Store, exchange
from app.store.claimed_ids import Allocator
from tests.waiting import MAX_WAIT_SECONDS

REGIONS = 2
THREADS = 4


def take(allocator: Allocator, count: int) -> None:
    """Take ``count`` ids. Each is written whole in one call, so that a kill cannot cut a number short."""
    for _ in range(count):
        os.write(1, f"{allocator.next_id()}\n".encode())


def main(url: str, prefix: str, region: str, count: str) -> None:
    """Take ``count`` ids in each thread, after a fork that leaves the parent with the same allocator."""
    exchange.TIMEOUT_SECONDS = MAX_WAIT_SECONDS
    allocator = Allocator(Store(url, prefix)["meta"], DOCUMENT.name, int(region), REGIONS, timestamp)
    os.write(1, f"{allocator.next_id()}\n".encode())
    child = os.fork()
    threads = [Thread(target=take, args=(allocator, int(count))) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if child:
        os.waitpid(child, 0)
    else:
        os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
