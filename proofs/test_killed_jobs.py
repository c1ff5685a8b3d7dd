"""No version is lost or stored twice while the database and the process of capture and resolver are killed.

With DREAMSCRIPT_PROOF_KILLS, as `make prove-history` has it, this is the proof at full size.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event
from typing import Any

import pytest

from app.domain.conflicts.revisions import MERGED_BY
from app.errors import ServiceError
from app.local_couchdb.process import poll
from app.services import Services
from app.wiring import build_services
from proofs.clients import Clients
from proofs.conftest import Installation, install
from proofs.node import Node
from proofs.service import Service
from proofs.version_writers import Brancher, Document, Patcher, VersionWriter

pytestmark = pytest.mark.timeout(3600)

KILLS = int(os.environ.get("DREAMSCRIPT_PROOF_KILLS", "3"))
IS_PROOF = "DREAMSCRIPT_PROOF_KILLS" in os.environ
# Every third kill is one of the database, the others are of the workers.
KILLS_PER_DATABASE_KILL = 3
WRITERS = 3
# The most acknowledged changes between two kills.
MAX_CHANGES = 8
# Seconds until everything is captured: a job that failed pauses for 10 seconds.
CAPTURE_SECONDS = 120.0
# Seconds after the end without any write.
QUIET_SECONDS = 60.0 if IS_PROOF else 0.0


@pytest.fixture
def own(node: Node) -> Installation:
    """An installation on a server that the test may kill."""
    return install(node.url, f"t{secrets.token_hex(4)}")


@pytest.fixture
def observer(own: Installation) -> Iterator[Services]:
    """The services of this process, which is not killed and has its own connection to the database."""
    services = build_services(own.settings)
    yield services
    services.close()


def kill_workers(service: Service, observer: Services) -> None:
    """Kill all workers, and end the leases of capture and resolver, so that a new worker runs them at once."""
    for worker in sorted(service.workers()):
        service.kill(worker)
    meta = observer.store["meta"]
    for job in ("capture", "resolver"):
        with suppress(ServiceError):
            if lease := meta.get(f"lease:{job}"):
                meta.replace({**lease, "until": lease["until"].replace("20", "19", 1)})


def kill_database(node: Node, writers: Clients) -> None:
    """Kill the database, and start it again once a writer has noticed."""
    node.kill()
    writers.await_more("503", 1)
    node.start()


def unfinished(observer: Services, documents: list[Document]) -> list[str]:
    """Return the acknowledged versions that the history does not have, and the items that are still to be merged."""
    leaves, versions = observer.store.leaves("documents"), observer.store.versions
    live = leaves.revisions([document.doc_id for document in documents if document.is_mergeable])
    unmerged = [doc_id for doc_id, revisions in live.items() if len(revisions) > 1]
    missing = (
        f"{document.doc_id} {revision}"
        for document in documents
        for revision in document.versions.keys() - versions.find(document.doc_id, document.versions).keys()
    )
    return [*unmerged, *missing]


def check_versions(service: Service, key: str, document: Document) -> Counter[str]:
    """Check the versions that the service lists; return their numbers by sort. A confirmation is an equal revision."""
    listed = service.ask("GET", f"{document.path}/versions?limit=1000", key).json
    revisions = [version["etag"].strip('"') for version in listed]
    assert len(set(revisions)) == len(revisions), document
    by_revision = dict(zip(revisions, listed, strict=True))
    for revision, value in document.versions.items():
        assert by_revision[revision]["value"] == value, (document, listed)
    for revision in document.undisturbed:
        assert [version.get("value") for version in listed].count(document.versions[revision]) == 1, (document, listed)
    merges = [version for version in listed if version["updated_by"] == MERGED_BY]
    deletions = [version for version in listed if version.get("deleted")]
    assert len(merges) == bool(document.is_mergeable), (document, listed)
    assert len(deletions) == document.is_deleted, (document, listed)
    counts = Counter(acknowledged=len(document.versions), merges=len(merges), deletions=len(deletions))
    counts["confirmations"] = len(listed) - counts.total()
    return counts


def check_conflict(service: Service, key: str, document: Document) -> str:
    """Check that a clash is open, and that a merge has both changes; return the reason for the conflict."""
    conflict = service.ask("GET", f"{document.path}/conflicts", key).json
    versions: list[dict[str, Any]] = conflict["versions"]
    if document.is_mergeable:
        [version] = versions
        content = version["value"]["content"]
        assert ("changed here" in content, "changed elsewhere" in content) == (True, True)
        assert (conflict["reason"], conflict["pending"]) == (None, False)
        return "merged"
    values = list(document.versions.values())[-2:]
    assert sorted(each["value"]["content"] for each in versions) == sorted(each["content"] for each in values)
    assert conflict["reason"] == "clash"
    return "clash"


def sequences(observer: Services) -> list[object]:
    """Return the places of the feeds, which change with each write."""
    return [observer.store[name].sequence() for name in ("documents", "history")]


def has_work(observer: Services) -> bool:
    """Run the jobs as a process that has just got their leases; return whether anything was written meanwhile."""
    before = sequences(observer)
    assert observer.capture is not None
    observer.capture.run(Event())
    observer.resolver.run(Event())
    return sequences(observer) != before


def assert_quiet(observer: Services) -> None:
    """Check that the jobs come to an end, and that nothing is written afterwards.

    The tombstones of merges are versions, too, and may be captured last.
    """
    assert poll(lambda: not has_work(observer), CAPTURE_SECONDS)
    before, end = sequences(observer), time.monotonic() + QUIET_SECONDS
    while time.monotonic() < end:
        time.sleep(1)
    assert not has_work(observer)
    assert sequences(observer) == before


def kill_repeatedly(node: Node, service: Service, observer: Services, clients: Clients, chance: random.Random) -> None:
    """Kill the workers or the database KILLS times, each time after some changes."""
    for number in range(1, KILLS + 1):
        clients.await_more("200", chance.randint(1, MAX_CHANGES))
        if number % KILLS_PER_DATABASE_KILL:
            kill_workers(service, observer)
        else:
            kill_database(node, clients)
    clients.await_more("200", MAX_CHANGES)


def await_capture(observer: Services, documents: list[Document]) -> float:
    """Wait until the history has all versions, and all merges are done; return the seconds that this took."""
    started_at = time.monotonic()
    poll(lambda: not unfinished(observer, documents), CAPTURE_SECONDS)
    assert unfinished(observer, documents) == []
    return time.monotonic() - started_at


def test_kills_lose_no_version_and_store_none_twice(
    node: Node, own: Installation, observer: Services, seed: int, report: Callable[[str], None]
) -> None:
    with Service(own.environ()) as service:
        kinds: list[type[VersionWriter]] = [Patcher, Brancher]
        writers = [kind(service, own, number, seed) for kind in kinds for number in range(WRITERS)]
        clients = Clients(writers)
        with clients.running():
            kill_repeatedly(node, service, observer, clients, random.Random(seed))
        documents = [document for writer in writers for document in writer.documents]
        seconds = await_capture(observer, documents)
        counts = sum((check_versions(service, own.key, document) for document in documents), Counter[str]())
        branched = [document for document in documents if document.is_mergeable is not None]
        ends = Counter(check_conflict(service, own.key, document) for document in branched)
        assert_quiet(observer)
    unknown = sum(writer.unknown for writer in writers)
    report(
        f"{KILLS} kills, {len(documents)} documents, {dict(clients.counts())}, versions: {dict(counts)}, "
        f"{unknown} unknown, {dict(ends)}, captured after {seconds:.1f} s"
    )
    assert ends.keys() == {"merged", "clash"}
    assert counts["deletions"]
