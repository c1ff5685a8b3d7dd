"""Whatever the database does, each answer comes in time and says what is documented, and the service recovers alone."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest

from app.local_couchdb.process import poll
from app.server.wsgi_bridge import THREADS
from proofs.conftest import Installation
from proofs.faults import CORRUPT, HARMLESS, LOST, SILENT, delay
from proofs.proxy import Fault, Proxy, by_seed
from proofs.service import Footprint, Reply, Service, footprint

Faulty = Callable[[Proxy], AbstractContextManager[None]]

# Each call is made by so many clients at once.
AT_ONCE = 3
# Seconds until all is well after a fault.
RECOVERY = 2.0
# Bytes by which a worker may grow whatever it is asked, and rounds of faults in which it may find its size.
GROWTH, WARMING = 16 * 2**20, 2


@dataclass(frozen=True)
class Call:
    """A request, and what answers it when all is well."""

    method: str
    path: str
    status: int = 200
    value: object = None
    found: object = None

    def faults(self, reply: Reply) -> list[str]:
        """Return what is wrong with an answer to it: it may be unavailable, and may not be false."""
        wrong = reply.faults(self.status)
        if not wrong and reply.status == self.status and self.found is not None and reply.json != self.found:
            wrong = [f"answered with {reply.json}"]
        return [f"{self.method} {self.path}: {fault}" for fault in wrong]


@dataclass(frozen=True)
class Clients:
    """Those who use the service meanwhile."""

    service: Service
    key: str
    calls: tuple[Call, ...]

    def send(self, call: Call) -> Reply:
        """Make one call."""
        # What a worker keeps in memory it may answer while the database does not.
        return self.service.ask(call.method, call.path, self.key, call.value, {"Cache-Control": "no-cache"})

    def send_all(self, times: int = AT_ONCE) -> list[tuple[Call, Reply]]:
        """Make each call so often, all at once."""
        made = list(self.calls * times)
        with ThreadPoolExecutor(len(made)) as pool:
            return list(zip(made, pool.map(self.send, made), strict=True))

    def succeed(self) -> bool:
        """Tell whether each call is answered as when all is well."""
        return all(reply.status == call.status and not call.faults(reply) for call, reply in self.send_all(1))


@pytest.fixture(scope="module")
def clients(service: Service, installation: Installation) -> Clients:
    """Clients of this module's service, in which there is a document."""
    stored = service.ask("POST", "/documents", installation.key, {"title": "First"}).json
    calls = (
        Call("POST", "/documents", 201, {"title": "Another", "content": "x" * 1000}),
        Call("GET", f"/documents/{stored['id']}", found=stored),
        Call("GET", "/documents?limit=1", found=[stored]),
        Call("GET", "/readyz", found={"status": "ok"}),
    )
    return Clients(service, installation.key, calls)


def doing(fault: Fault) -> Any:
    """Return ``fault`` as a parameter of a test."""
    return pytest.param(lambda proxy: proxy.doing(fault), id=fault.name)


DOWN = [
    pytest.param(lambda proxy: proxy.down(), id="connections are refused"),
    pytest.param(lambda proxy: proxy.down(accepting=True), id="connections are ended at once"),
]


def told(answers: list[tuple[Call, Reply]]) -> str:
    """Return the figures of answers in words."""
    counts = Counter(reply.status for _, reply in answers)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))
    return f"{len(answers)} answers ({statuses}), slowest {max(reply.seconds for _, reply in answers):.2f} s"


@pytest.mark.parametrize("faulty", [*DOWN, *map(doing, LOST + CORRUPT + SILENT)])
def test_a_database_that_does_not_answer_is_unavailable_in_time_and_well_at_once_afterwards(
    faulty: Faulty, proxy: Proxy, clients: Clients, report: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    assert poll(clients.succeed, RECOVERY)
    with faulty(proxy):
        answers = clients.send_all()
    report(f"{request.node.callspec.id}: {told(answers)}")
    assert [fault for call, reply in answers for fault in call.faults(reply)] == []
    assert {reply.status for _, reply in answers} == {503}
    assert poll(clients.succeed, RECOVERY), "the service did not recover"


@pytest.mark.parametrize("faulty", [doing(fault) for fault in (*HARMLESS, delay(0.1))])
def test_what_is_late_or_wrongly_declared_is_an_answer(faulty: Faulty, proxy: Proxy, clients: Clients) -> None:
    with faulty(proxy):
        answers = clients.send_all()
    assert [fault for call, reply in answers for fault in call.faults(reply)] == []
    assert {reply.status for _, reply in answers} == {200, 201}


def sizes(service: Service) -> dict[int, Footprint]:
    """Return what each worker holds."""
    return {worker: footprint(worker) for worker in service.workers()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a process holds in /proc")
def test_faults_leave_nothing_behind_in_the_workers(
    proxy: Proxy, service: Service, clients: Clients, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    every = LOST + CORRUPT
    weights = {fault: 0.8 / len(every) for fault in every}
    held, before_all = [], proxy.counts.copy()
    with proxy.under(by_seed(seed, weights)):
        for _ in range(WARMING + 3 * rounds):
            for _ in range(5):
                clients.send_all(4)
            held.append(sizes(service))
    assert poll(clients.succeed, RECOVERY)
    before, after = held[WARMING - 1], sizes(service)
    assert set(before) == set(after), "a worker ended"
    lines = [
        f"{before[pid].descriptors} to {after[pid].descriptors} descriptors, "
        f"{before[pid].memory / 2**20:.1f} to {after[pid].memory / 2**20:.1f} MiB"
        for pid in after
    ]
    happened = proxy.counts - before_all
    report(f"workers after {happened.total() - happened['pass']} faults: {'; '.join(lines)}")
    for pid in after:
        # A worker keeps as many connections as it has threads, and has as many clients.
        assert after[pid].descriptors <= before[pid].descriptors + THREADS
        assert after[pid].memory <= before[pid].memory + GROWTH
