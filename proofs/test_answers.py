"""During any fault of the database, each answer is in time and documented, and the service recovers by itself."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.local_couchdb.process import poll
from app.server.wsgi_bridge import THREADS
from proofs.conftest import Installation
from proofs.faults import CORRUPT, HARMLESS, LOST, SILENT, delay
from proofs.proxy import Fault, Proxy, by_seed
from proofs.service import RECOVERY_SECONDS, Footprint, Reply, Service, footprint

Faulty = Callable[[Proxy], AbstractContextManager[None]]

# Concurrent clients per call.
AT_ONCE = 3
# Bytes that a worker may grow during the faults, and rounds of faults before the first measurement.
GROWTH, WARMING = 16 * 2**20, 2


@dataclass(frozen=True)
class Call:
    """A request, and its answer without faults."""

    method: str
    path: str
    status: int = 200
    value: object = None
    expected: object = None

    def faults(self, reply: Reply) -> list[str]:
        """Return the faults of an answer: it may be a 503, and must not be false."""
        wrong = reply.faults(self.status)
        if not wrong and reply.status == self.status and self.expected is not None and reply.json != self.expected:
            wrong = [f"answered with {reply.json}"]
        return [f"{self.method} {self.path}: {fault}" for fault in wrong]


@dataclass(frozen=True)
class Clients:
    """Clients of the service during the faults."""

    service: Service
    key: str
    calls: tuple[Call, ...]

    def send(self, call: Call) -> Reply:
        """Make one call."""
        # A worker may answer from its cache while the database does not.
        return self.service.ask(call.method, call.path, self.key, call.value, {"Cache-Control": "no-cache"})

    def send_all(self, times: int = AT_ONCE) -> list[tuple[Call, Reply]]:
        """Make each call ``times`` times, all at once."""
        made = list(self.calls * times)
        with ThreadPoolExecutor(len(made)) as pool:
            return list(zip(made, pool.map(self.send, made), strict=True))

    def succeed(self) -> bool:
        """Return whether each call is answered as without faults."""
        return all(reply.status == call.status and not call.faults(reply) for call, reply in self.send_all(1))


@pytest.fixture(scope="module")
def clients(service: Service, installation: Installation) -> Clients:
    """Clients of this module's service, which holds one document."""
    stored = service.answer("POST", "/documents", installation.key, {"title": "First"}).json
    calls = (
        Call("POST", "/documents", 201, {"title": "Another", "content": "x" * 1000}),
        Call("GET", f"/documents/{stored['id']}", expected=stored),
        Call("GET", "/documents?limit=1", expected=[stored]),
        Call("GET", "/readyz", expected={"status": "ok"}),
    )
    return Clients(service, installation.key, calls)


def doing(fault: Fault) -> Any:
    """Return ``fault`` as a parameter of a test."""
    return pytest.param(lambda proxy: proxy.doing(fault), id=fault.name)


DOWN = [
    pytest.param(lambda proxy: proxy.down(), id="connections are refused"),
    pytest.param(lambda proxy: proxy.down(accepting=True), id="connections are ended at once"),
]


def summary(answers: list[tuple[Call, Reply]]) -> str:
    """Return a summary of the answers."""
    counts = Counter(reply.status for _, reply in answers)
    statuses = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))
    return f"{len(answers)} answers ({statuses}), slowest {max(reply.seconds for _, reply in answers):.2f} s"


@pytest.mark.parametrize("faulty", [*DOWN, *map(doing, LOST + CORRUPT + SILENT)])
def test_a_fault_of_the_database_is_503_in_time_and_the_service_recovers_at_once(
    faulty: Faulty, proxy: Proxy, clients: Clients, report: Callable[[str], None], request: pytest.FixtureRequest
) -> None:
    assert poll(clients.succeed, RECOVERY_SECONDS)
    with faulty(proxy):
        answers = clients.send_all()
    report(f"{request.node.callspec.id}: {summary(answers)}")
    assert [fault for call, reply in answers for fault in call.faults(reply)] == []
    assert {reply.status for _, reply in answers} == {503}
    assert poll(clients.succeed, RECOVERY_SECONDS), "the service did not recover"


@pytest.mark.parametrize("faulty", [doing(fault) for fault in (*HARMLESS, delay(0.1))])
def test_a_late_or_wrongly_declared_answer_is_accepted(
    faulty: Faulty, proxy: Proxy, clients: Clients, unhurried_service: Service
) -> None:
    with faulty(proxy):
        answers = replace(clients, service=unhurried_service).send_all()
    assert [fault for call, reply in answers for fault in call.faults(reply)] == []
    assert {reply.status for _, reply in answers} == {200, 201}


def sizes(service: Service) -> dict[int, Footprint]:
    """Return the resources of each worker."""
    return {worker: footprint(worker) for worker in service.workers()}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the resources of a process in /proc")
def test_faults_leak_no_descriptors_and_no_memory(
    proxy: Proxy, service: Service, clients: Clients, seed: int, rounds: int, report: Callable[[str], None]
) -> None:
    every = LOST + CORRUPT
    weights = {fault: 0.8 / len(every) for fault in every}
    held, before_all = [], proxy.counts.copy()
    with proxy.under(by_seed(seed, weights)):
        for _ in range(WARMING + 3 * rounds):
            for _ in range(3):
                clients.send_all(4)
            held.append(sizes(service))
    assert poll(clients.succeed, RECOVERY_SECONDS)
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
        # A worker has one connection per thread and one per client.
        assert after[pid].descriptors <= before[pid].descriptors + THREADS
        assert after[pid].memory <= before[pid].memory + GROWTH
