"""Of several concurrent conditional writers of a document, exactly one wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

import pytest

from proofs.conftest import Installation
from proofs.contest import FEWER, RACES, history, race
from proofs.faults import CORRUPT, CUT_AFTER, CUT_BEFORE, CUT_WITHIN
from proofs.ledger import DOCUMENTS, Item
from proofs.proxy import Fault, Filter, Proxy, by_seed, everything, writes
from proofs.service import Reply, Service

WRITERS, VERSIONS = 16, 20
SOME = {CUT_AFTER: 0.1, CUT_WITHIN: 0.03, CUT_BEFORE: 0.04, **{fault: 0.03 / len(CORRUPT) for fault in CORRUPT}}
# Enough faults that some outcomes stay unknown after all retries.
MOST = {CUT_AFTER: 0.6, CUT_BEFORE: 0.2}


def test_of_conditional_writers_exactly_one_wins_each_version(
    unhurried_service: Service, installation: Installation, rounds: int, report: Callable[[str], None]
) -> None:
    made = unhurried_service.ask("POST", "/documents", installation.key, {"title": "start"})
    path, tag, latest = f"/documents/{made.json['id']}", made.headers["ETag"], made.json

    def write(writer: int, version: int, tag: str) -> Reply:
        value = {"title": f"{writer} in {version}"}
        return unhurried_service.ask("PUT", path, installation.key, value, {"If-Match": tag})

    with ThreadPoolExecutor(WRITERS) as pool:
        for version in range(VERSIONS * rounds):
            tried = [pool.submit(write, writer, version, tag) for writer in range(WRITERS)]
            replies = [each.result() for each in tried]
            assert sorted(reply.status for reply in replies) == [200] + [412] * (WRITERS - 1)
            [winner] = [reply for reply in replies if reply.status == 200]
            tag, latest = winner.headers["ETag"], winner.json
            assert {reply.headers["ETag"] for reply in replies} == {tag}
    reply = unhurried_service.ask("GET", path, installation.key)
    assert (reply.json, reply.headers["ETag"]) == (latest, tag)
    # Each version is one revision: every stored write was acknowledged.
    assert tag.startswith(f'"{1 + VERSIONS * rounds}-')
    report(f"{WRITERS} writers, {VERSIONS * rounds} versions, one winner each")


@pytest.mark.parametrize(("weights", "only"), [(SOME, everything), (MOST, writes)], ids=["some", "most writes"])
def test_of_conditional_writers_at_most_one_wins_each_version_during_cuts(
    proxy: Proxy,
    service: Service,
    installation: Installation,
    weights: dict[Fault, float],
    only: Filter,
    seed: int,
    rounds: int,
    report: Callable[[str], None],
) -> None:
    ended: Counter[str] = Counter()
    made = [service.answer("POST", "/documents", installation.key, {"title": f"race {n}"}) for n in range(rounds)]
    with proxy.under(by_seed(seed, weights, only)):
        contested = [race(service, installation.key, Item.served(DOCUMENTS, each), ended) for each in made]
    counts = ", ".join(f"{number} x {what}" for what, number in sorted(ended.items()))
    report(f"{FEWER} writers, {RACES * rounds} races: {counts}")
    for each in contested:
        assert service.answer("GET", each.item.path, installation.key).json == each.item.json
        # The confirmation of a write is a revision equal to it; no other write was stored.
        stored = history(installation, each.item)
        assert [title for title, _ in groupby(stored)] == [
            title for title, _ in groupby(each.titles) if title in stored
        ]
