"""`make bench`: compare the service with CouchDB alone, in turns, row by row of rows.py."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from bench import figures, machine, processes, wrk
from bench.environment import WORKERS, Environment
from bench.figures import Round, Side
from bench.rows import ROWS, Row, Scene
from bench.walking import LARGEST, WARMERS, warmed
from bench.writer import Edits, Writer, chosen, stored
from tests.api.conftest import deployed_settings
from tests.server.live import Live

DOCUMENTS = int(os.environ.get("DREAMSCRIPT_BENCH_DOCUMENTS", "100000"))
ROUNDS = int(os.environ.get("DREAMSCRIPT_BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("DREAMSCRIPT_BENCH_SECONDS", "3"))
ONLY = os.environ.get("DREAMSCRIPT_BENCH_ONLY", "")
PAGE_OF_IDS = range(1, 51)
# Each round starts at a place in the list of requests that the round before cannot have reached.
STRIDE = 20_011
REPORT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


class Bench:
    """Measure row by row on one database server."""

    def __init__(self, environment: Environment, scene: Scene, live: Live) -> None:
        self._environment, self._scene, self._live = environment, scene, live

    def rounds(self, row: Row) -> list[Round]:
        """Return the measurements of a row's rounds; the sides take turns at being first."""
        if row.fresh:
            return [self._fresh(row, number) for number in range(ROUNDS)]
        targets = row.ours(self._scene), row.theirs(self._scene)
        for target in targets:
            wrk.run(target, row.connections, row.longer)
        return [self._round(row, targets, number, self._live) for number in range(ROUNDS)]

    def _fresh(self, row: Row, number: int) -> Round:
        """Measure a round on a service that has seen none of its requests before."""
        with self._scene.installation.serve() as live:
            scene = replace(self._scene, service=live.address)
            targets = row.ours(scene), row.theirs(scene)
            for _ in range(WARMERS):
                wrk.check(targets[0], start=-1)
            return self._round(row, targets, number, live)

    def _round(self, row: Row, targets: tuple[wrk.Target, wrk.Target], number: int, live: Live) -> Round:
        order = targets[::-1] if number % 2 else targets
        sides = [self._side(row, target, number, live) for target in order]
        return Round(*(sides[::-1] if number % 2 else sides))

    def _side(self, row: Row, target: wrk.Target, number: int, live: Live) -> Side:
        """Measure one side; the requests that check statuses are not counted."""
        start = number * STRIDE % len(target.requests)
        wrk.check(target, start)
        with self._writing(row, target) as writer:
            before = processes.cpu([live.pid]), processes.cpu(self._environment.processes)
            load = wrk.run(target, row.connections, SECONDS * row.longer, start)
            after = processes.cpu([live.pid]), processes.cpu(self._environment.processes)
            pace = writer.pace() if writer else 1.0
        wrk.check(target, start + load.requests)
        return Side(load, after[0] - before[0], after[1] - before[1], pace)

    def _writing(self, row: Row, target: wrk.Target) -> AbstractContextManager[Writer | None]:
        if not row.writes:
            return nullcontext()
        ids = chosen(DOCUMENTS, SECONDS) if row.writes == "anywhere" else list(PAGE_OF_IDS)
        if target.address == self._scene.service:
            return Writer(Edits(target, ids))
        database = self._scene.installation.database
        return Writer(Edits(target, ids, stored(self._environment.connection, database, ids), database))


def measure(environment: Environment, rows: Sequence[Row]) -> str:
    """Return the report on ``rows``."""
    bare, validated = f"{environment.prefix}-bare", f"{environment.prefix}-validated"
    environment.connection.put(bare)
    deployed_settings(environment.url, validated)
    installation = environment.install(DOCUMENTS)
    with installation.serve() as live:
        print("every document is read to warm the service")
        scene = warmed(Scene(installation, live.address, *environment.couchdb, f"{validated}-documents", bare))
        bench, cells = Bench(environment, scene, live), [list(figures.HEADER)]
        for row in rows:
            try:
                cells.append(figures.cells(row.work, row.goal, bench.rounds(row)))
            except wrk.WrongAnswer as failure:
                raise wrk.WrongAnswer(f"{row.work}: {failure}") from failure
            print(" | ".join(cells[-1][:5]), flush=True)
        return "\n\n".join((head(environment), figures.table(cells), workers(live)))


def head(environment: Environment) -> str:
    """Return the description of the machine and the method."""
    return (
        f"{machine.describe(environment.name)}.\n\n"
        f"{DOCUMENTS:,} documents of 300 bytes; {WORKERS} workers, rate limits on; {ROUNDS} rounds of {SECONDS} s for "
        f"each side, in turns; medians. Warm: all documents were read before, in pages of {LARGEST} over {WARMERS} "
        "connections at once, and each connection read them all. Pairs are the service / CouchDB alone."
    )


def workers(live: Live) -> str:
    """Return the memory of the service's processes below the first one."""
    memories = [processes.memory(pid) for pid in processes.descendants(live.pid)]
    each = "; ".join(f"{one.rss:.0f} MiB resident, {one.pss:.0f} MiB of its own share" for one in memories)
    median = statistics.median(one.pss for one in memories)
    return f"Memory of the workers in the end: {each}; median share {median:.0f} MiB."


def write(report: str) -> None:
    """Write ``report`` between its marks in the documentation."""
    text = REPORT.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    REPORT.write_text(f"{before}{BEGIN}\n\n{report}\n\n{END}{after}")


def main() -> int:
    """Measure, print, and write the report if the options say so."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the results into docs/performance.md")
    writes = parser.parse_args().write or os.environ.get("DREAMSCRIPT_BENCH_WRITE") == "1"
    if not wrk.is_installed():
        print(wrk.MISSING, file=sys.stderr)
        return 2
    rows = [row for row in ROWS if ONLY in row.work]
    if writes and len(rows) < len(ROWS):
        print("DREAMSCRIPT_BENCH_ONLY leaves rows out, so nothing is written", file=sys.stderr)
        return 2
    try:
        with Environment() as environment:
            report = measure(environment, rows)
    except wrk.WrongAnswer as failure:
        print(f"Nothing was measured: {failure}", file=sys.stderr)
        return 1
    print(f"\n{report}")
    if writes:
        write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
