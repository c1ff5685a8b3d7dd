"""`make bench-history`: the cost of capturing versions, as ratios between writes with and without it, in turns."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

from app.couch.connection import Connection
from bench import processes, wrk
from bench.environment import Environment, Installation
from bench.wrk import Request, Target
from tests.server.live import Live

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "5000"))
ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("DREAMSCRIPT_BENCH_SECONDS", "3"))
CONNECTIONS = 32
HISTORY = {"without": "off", "with": "90d/100"}
# Capture pauses for up to 20 times as long as it has run, about 6 s. It has finished if this time brings no version.
IDLE_SECONDS = 20.0


@dataclass
class Service:
    """A service on an installation of its own, with its results."""

    installation: Installation
    live: Live
    writes: int = 0
    cpu_seconds: float = 0.0
    p50s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """A patch of each document in turn."""
        paths = [f"/documents/{public_id}" for public_id in range(1, DOCUMENTS + 1)]
        body = '{"content": "' + "y" * 200 + '"}'
        headers = {"X-API-Key": self.installation.key, "Content-Type": "application/json"}
        return Target(self.live.address, headers, [Request(path, "PATCH", body=body) for path in paths])

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop its processes, so that it does nothing meanwhile."""
        pids = processes.tree(processes.stats(), [self.live.pid])
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def captured(self) -> int:
        """Return the number of versions captured so far."""
        connection = Connection(self.installation.couchdb, timeout=60)
        count: int = connection.get(f"{self.installation.prefix}-history").body["doc_count"]
        connection.close()
        return count


def measure(service: Service, roots: list[int], start: int) -> None:
    """Write on one connection, and on many."""
    before = processes.cpu([*roots, service.live.pid])
    single = wrk.run(service.target, 1, SECONDS, start)
    many = wrk.run(service.target, CONNECTIONS, SECONDS, start + single.requests)
    service.cpu_seconds += processes.cpu([*roots, service.live.pid]) - before
    service.writes += single.requests + many.requests
    service.p50s.append(single.p50)
    service.rates.append(many.rate)


def drain(service: Service, roots: list[int]) -> tuple[float, int]:
    """Wait until all is captured; return the CPU seconds and the number of the versions that were left to do."""
    cpu, captured = processes.cpu([*roots, service.live.pid]), service.captured()
    first, last = captured, -1
    while captured != last:
        time.sleep(IDLE_SECONDS)
        last, captured = captured, service.captured()
    return processes.cpu([*roots, service.live.pid]) - cpu, captured - first


def main() -> int:
    """Measure in turns, and print the ratios."""
    if not wrk.is_installed():
        print(wrk.MISSING)
        return 1
    with Environment() as bench, ExitStack() as stack:
        print(f"{bench.name}, {DOCUMENTS} documents, {ROUNDS} rounds of {SECONDS:.0f} s")
        services = {}
        for name, setting in HISTORY.items():
            installation = bench.install(DOCUMENTS, name)
            environ = {**installation.environ, "DREAMSCRIPT_HISTORY": setting}
            live = stack.enter_context(Live("serve", environ, keep_log=False))
            services[name] = Service(installation, live)
        drain(services["with"], bench.processes)
        for number in range(ROUNDS):
            for name in (list(HISTORY), list(HISTORY)[::-1])[number % 2]:
                (other,) = (service for each, service in services.items() if each != name)
                with other.stopped():
                    measure(services[name], bench.processes, number * DOCUMENTS // ROUNDS)
        without, captured = services["without"], services["with"]
        seconds, versions = drain(captured, bench.processes)
        ratios = [one / other for one, other in zip(captured.p50s, without.p50s, strict=True)]
        print(f"p50 of PATCH on one connection: {median(ratios):.3f} of that without")
        ratios = [one / other for one, other in zip(captured.rates, without.rates, strict=True)]
        print(f"PATCH per second on {CONNECTIONS} connections: {median(ratios):.3f} of those without")
        per_write = {name: 1e6 * each.cpu_seconds / each.writes for name, each in services.items()}
        print(f"CPU per write: {per_write['without']:.0f} us without, {per_write['with']:.0f} us with")
        if versions:
            print(f"CPU per version captured afterwards: {1e6 * seconds / versions:.0f} us ({versions} versions)")
        else:
            print("no version was captured: the rounds were too short, and the ratios say nothing about the capture")
        print("rounds:", [round(1e3 * each, 2) for s in services.values() for each in s.p50s], file=sys.stderr)
        print("rounds:", [round(each) for s in services.values() for each in s.rates], file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
