"""The resolver stays bounded in time and memory with documents that have many leaves (`make prove-convergence`)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Event

import pytest

from app.domain.resources import DOCUMENT
from app.metric_definitions import CONFLICTS_OPEN
from app.metrics import resident_bytes
from tests.domain.conflicts.database_region import DatabaseRegion
from tests.replication import replicate

pytestmark = pytest.mark.timeout(3600)

LEAVES = int(os.environ.get("DREAMSCRIPT_PROOF_LEAVES", "60"))
DOCUMENTS = int(os.environ.get("DREAMSCRIPT_PROOF_DOCUMENTS", "2"))
LEAVES_PER_REQUEST = 100
MAX_GROWTH_BYTES = 100 * 2**20
# A run ends after a second and after the items that are judged together at that time.
MAX_RUN_SECONDS = 30.0


def test_documents_with_many_leaves_are_loops(
    server_url: str, module_prefix: str, report: Callable[[str], None]
) -> None:
    region = DatabaseRegion(server_url, module_prefix)
    for _ in range(DOCUMENTS):
        old = region.services.store["documents"].get(DOCUMENT.doc_id(region.create(title="T", content="text\n" * 100)))
        assert old
        first = old.pop("_rev")
        branches = [({**old, "title": f"T{leaf}"}, [f"2-{leaf:032x}", first]) for leaf in range(LEAVES)]
        for start in range(0, LEAVES, LEAVES_PER_REQUEST):
            replicate(server_url, f"{module_prefix}-documents", *branches[start : start + LEAVES_PER_REQUEST])
    before, times, pause = resident_bytes(), [], 0.0
    while not pause:
        started_at = time.monotonic()
        pause = region.services.resolver.run(Event())
        times.append(time.monotonic() - started_at)
    growth, loops = resident_bytes() - before, region.metric(CONFLICTS_OPEN, "loop")
    region.close()
    report(
        f"{DOCUMENTS} x {LEAVES} leaves: {sum(times):.1f} s, longest run {max(times):.1f} s, {growth / 2**20:.0f} MB"
    )
    assert loops == DOCUMENTS
    assert max(times) < MAX_RUN_SECONDS
    assert growth < MAX_GROWTH_BYTES
