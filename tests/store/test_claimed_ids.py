"""No id is assigned twice by threads, processes, forks, regions, kills, restarts or unknown outcomes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NoReturn

import pytest

from app.couch.connection import Connection
from app.domain.resources import DOCUMENT, PROJECT, ResourceType, timestamp
from app.errors import Unavailable, Unconfirmed
from app.request_context import request_context
from app.store import Database, DocumentFailure, Outcome
from app.store.claimed_ids import MAX_UNKNOWN, Allocator
from couchapp import tree
from tests.deploying import deploy_new
from tests.waiting import MAX_WAIT_SECONDS

Make = Callable[..., Allocator]
# Of each of the 4 threads of each process and of its child.
IDS_PER_THREAD = 20


@pytest.fixture
def make(meta: Database) -> Make:
    """Create allocators that share ``meta``, like the workers of one installation."""

    def build(kind: ResourceType = DOCUMENT, region: int = 0, regions: int = 1) -> Allocator:
        return Allocator(meta, kind.name, region, regions, timestamp)

    return build


def test_a_new_installation_counts_from_one_with_any_number_of_workers(make: Make) -> None:
    workers = [make() for _ in range(3)]
    assert [workers[n % 3].next_id() for n in range(12)] == list(range(1, 13))


def test_each_resource_type_has_its_own_numbers(make: Make) -> None:
    assert [make(DOCUMENT).next_id(), make(PROJECT).next_id(), make(DOCUMENT).next_id()] == [1, 1, 2]


def test_a_restart_continues_above_all_assigned_ids(make: Make) -> None:
    before = [make().next_id() for _ in range(5)]
    assert make().next_id() == max(before) + 1


def test_regions_take_turns(make: Make) -> None:
    here, there = make(region=0, regions=2), make(region=1, regions=2)
    assert [here.next_id(), here.next_id(), there.next_id(), here.next_id(), there.next_id()] == [
        1,
        3,
        4,
        5,
        6,
    ]


def test_after_a_claim_of_unknown_outcome_the_next_block_is_claimed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim may be stored, as it is here, so its ids must not be used."""
    write_many = Database.write_many

    def stored_but_unanswered(database: Database, documents: Sequence[Mapping[str, object]]) -> NoReturn:
        monkeypatch.setattr(Database, "write_many", write_many)
        write_many(database, documents)
        raise Unconfirmed

    allocator = make()
    assert allocator.next_id() == 1
    monkeypatch.setattr(Database, "write_many", stored_but_unanswered)
    assert allocator.next_id() == 3
    assert make().next_id() == 4


def test_a_claim_that_was_not_sent_is_unavailable(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    write_many = Database.write_many

    def unreachable(*_: object) -> NoReturn:
        monkeypatch.setattr(Database, "write_many", write_many)
        raise Unavailable

    allocator = make()
    monkeypatch.setattr(Database, "write_many", unreachable)
    with pytest.raises(Unavailable):
        allocator.next_id()
    # Its block may be lost.
    assert allocator.next_id() == 2


def test_claims_without_a_quorum_are_given_up(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[object] = []

    def accepted(_: Database, documents: Sequence[Mapping[str, object]]) -> dict[object, Outcome]:
        tries.append(documents)
        return {document["_id"]: DocumentFailure.UNKNOWN for document in documents}

    monkeypatch.setattr(Database, "write_many", accepted)
    with pytest.raises(Unavailable):
        make().next_id()
    assert len(tries) == MAX_UNKNOWN
    assert "no block of ids could be claimed" in caplog.text


def test_many_ids_are_claimed_in_one_request(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    write_many, sent = Database.write_many, list[int]()

    def counted(database: Database, documents: Sequence[Mapping[str, object]]) -> dict[str, Outcome]:
        sent.append(len(documents))
        return write_many(database, documents)

    monkeypatch.setattr(Database, "write_many", counted)
    allocator = make()
    assert allocator.next_ids(1000) == tuple(range(1, 1001))
    assert sent == [190]
    assert allocator.next_ids(150) == tuple(range(1001, 1151))
    # The rest of a block comes first.
    assert allocator.next_ids(60) == tuple(range(1151, 1211))
    assert sent == [190, 2, 1]


def test_a_request_for_no_ids_does_not_wait(make: Make) -> None:
    allocator = make()
    with allocator._held.lock, request_context(request_id="r-1", seconds=0):
        assert allocator.next_ids(0) == ()


def test_blocks_of_others_are_skipped_and_the_rest_is_claimed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others claim blocks between the read of the claims and the write."""
    mine, theirs, write_many = make(), make(), Database.write_many
    assert mine.next_id() == 1

    def overtaken(database: Database, documents: Sequence[Mapping[str, object]]) -> dict[str, Outcome]:
        monkeypatch.setattr(Database, "write_many", write_many)
        assert theirs.next_ids(3) == (2, 3, 4)
        return write_many(database, documents)

    monkeypatch.setattr(Database, "write_many", overtaken)
    assert mine.next_ids(5) == (5, 6, 7, 8, 9)
    assert theirs.next_id() == 10


def test_only_claims_with_a_quorum_are_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    write_many = Database.write_many

    def half_known(database: Database, documents: Sequence[Mapping[str, object]]) -> dict[str, Outcome]:
        monkeypatch.setattr(Database, "write_many", write_many)
        outcomes = write_many(database, documents)
        return {doc_id: outcomes[doc_id] if n % 2 else DocumentFailure.UNKNOWN for n, doc_id in enumerate(outcomes)}

    monkeypatch.setattr(Database, "write_many", half_known)
    assert make().next_ids(4) == (2, 4, 5, 6)


def test_claims_that_are_refused_are_unavailable_and_logged(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: Database, documents: Sequence[Mapping[str, object]]) -> dict[object, Outcome]:
        return {document["_id"]: DocumentFailure.FORBIDDEN for document in documents}

    monkeypatch.setattr(Database, "write_many", refused)
    with pytest.raises(Unavailable):
        make().next_id()
    assert "no block of ids could be claimed" in caplog.text


def test_a_request_waits_for_another_claim_only_until_its_deadline(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    write_many, claiming, answered = Database.write_many, threading.Event(), threading.Event()

    def answered_late(database: Database, documents: Sequence[Mapping[str, object]]) -> dict[str, Outcome]:
        claiming.set()
        assert answered.wait(MAX_WAIT_SECONDS)
        return write_many(database, documents)

    monkeypatch.setattr(Database, "write_many", answered_late)
    allocator = make()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(allocator.next_id)
        assert claiming.wait(MAX_WAIT_SECONDS)
        # Without a deadline it would wait until the claim fails.
        with request_context(request_id="r-1", seconds=0.1), pytest.raises(Unavailable):
            allocator.next_id()
        answered.set()
        assert first.result() == 1


def ids_of(process: subprocess.Popen[bytes], kill_after: int | None) -> list[int]:
    """Read the ids of ``process``, and kill it after some of them if ``kill_after`` is set."""
    assert process.stdout is not None
    ids = []
    for line in process.stdout:
        ids.append(int(line))
        if len(ids) == kill_after:
            process.kill()
    return ids


def test_eight_processes_of_four_threads_in_two_regions_some_killed(
    server_url: str, prefix: str, meta: Database
) -> None:
    """Each process forks once more. The regions are independent: their databases are not replicated."""
    assert meta.last_id("claim:", "claim;") is None
    other = f"{prefix}x"
    deploy_new(server_url, other)
    command = [sys.executable, "-m", "tests.store.claimant", server_url]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [*command, (prefix, other)[n % 2], str(n % 2), str(IDS_PER_THREAD)], stdout=subprocess.PIPE
                )
            )
            for n in range(8)
        ]
        dealt = [ids_of(process, kill_after=40 if n >= 6 else None) for n, process in enumerate(processes)]
    connection = Connection(server_url, timeout=30)
    for name in tree.load():
        connection.delete(f"{other}-{name}")
    connection.close()
    everything = [public_id for ids in dealt for public_id in ids]
    assert len(everything) == len(set(everything))
    assert all(len(ids) >= 1 + 2 * 4 * IDS_PER_THREAD for ids in dealt[:6])
    assert all(len(ids) >= 40 for ids in dealt[6:])
