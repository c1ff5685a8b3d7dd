"""The life of keys in a service of two workers under load: revoked in time everywhere, rotated without a failure.

With DREAMSCRIPT_PROOF_REVOCATIONS and _ROTATIONS, as `make prove-keys` has them, this is the proof at full size.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from app.services import Services
from proofs.conftest import WORKERS, Installation
from tests.server.clients import Load, WorkerClient, workers
from tests.server.live import Live

REVOCATIONS = int(os.environ.get("DREAMSCRIPT_PROOF_REVOCATIONS", "10"))
ROTATIONS = int(os.environ.get("DREAMSCRIPT_PROOF_ROTATIONS", "1"))
# The contract: this many seconds after the 204 every request is refused.
LONGEST = 5.0
# Keys revoked at the same time, and the requests per second with each.
AT_ONCE = 10
PAUSE_SECONDS = 0.05
# Requests a second, and how many of them before, between and after a rotation and the change to the new key.
RATE = 200
STAGE = 60


def revoke(live: Live, admin: str, key_id: int, text: str) -> float:
    """Revoke a key that is in use; return the seconds from the 204 to the refusal by the last worker."""
    pids, in_use_until = workers(live, WORKERS), time.monotonic() + random.uniform(0, 3)
    with WorkerClient(live) as client:
        while time.monotonic() < in_use_until:
            assert [client.ask(pid, text) for pid in pids] == [200] * WORKERS
            time.sleep(PAUSE_SECONDS)
        assert live.request("DELETE", f"/keys/{key_id}", admin)[0] == 204
        revoked_at, refused = time.monotonic(), dict[int, float]()
        while len(refused) < WORKERS:
            for pid in set(pids) - refused.keys():
                began = time.monotonic() - revoked_at
                status = client.ask(pid, text)
                assert status == 401 or (status == 200 and began < LONGEST), (status, began)
                if status == 401:
                    refused[pid] = time.monotonic() - revoked_at
            time.sleep(PAUSE_SECONDS)
        assert [client.ask(pid, text) for pid in pids] == [401] * WORKERS
    return max(refused.values())


def test_every_worker_refuses_a_revoked_key_in_time(live: Live, services: Services, installation: Installation) -> None:
    keys = [services.keys.create("ending", ["documents:read"]) for _ in range(REVOCATIONS)]
    with Load(live, lambda: installation.key, rate=100) as load, ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.monotonic()
        seconds = list(pool.map(lambda made: revoke(live, installation.key, made[0].id, made[1]), keys))
        rate = load.statuses.total() / (time.monotonic() - began)
    assert set(load.statuses) == {200}
    print(  # noqa: T201
        f"\n{REVOCATIONS} revocations, {WORKERS} workers, {rate:.0f} other requests/s: refused by all after"
        f" {statistics.median(seconds):.2f} s (median), {max(seconds):.2f} s (slowest)"
    )


def test_a_rotation_under_load_fails_nobody(live: Live, services: Services, installation: Installation) -> None:
    key, text = services.keys.create("rotating", ["documents:read"])
    used, key_id, began = [text], key.id, time.monotonic()
    with Load(live, lambda: used[-1], rate=RATE) as load:
        for _ in range(ROTATIONS):
            load.wait_for_more(STAGE)
            status, new = live.request("POST", f"/keys/{key_id}/rotate", installation.key, {"overlap": 3600})
            assert status == 201
            load.wait_for_more(STAGE)
            key_id = new["id"]
            used.append(new["key"])
            load.wait_for_more(STAGE)
        rate = load.statuses.total() / (time.monotonic() - began)
    failures = load.statuses.total() - load.statuses[200]
    print(  # noqa: T201
        f"\n{ROTATIONS} rotations, {load.statuses.total()} requests at {rate:.0f}/s: {failures} failures"
    )
    assert failures == 0, load.statuses
