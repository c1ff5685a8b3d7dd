"""A document that many write at once while exchanges fail, each on the condition that nobody else has."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from app.local_couchdb.wire import request as ask
from proofs.conftest import Installation
from proofs.ledger import DOCUMENTS, Item
from proofs.requests import Requests
from proofs.service import Reply, Service

# Fewer race than while all is well, since each has to find out what became of its write.
FEWER, RACES = 8, 3


@dataclass
class Contested:
    """A document that many write at once, as it was read last, and the titles that it has had."""

    item: Item
    titles: list[str]
    # Titles of writes of which nobody has told whether they are stored.
    in_doubt: set[str] = field(default_factory=set)

    def decide(self, replies: dict[str, Reply | None], found: Item) -> str:
        """Hold the answers to one race, by the titles that were written, against what is stored; tell how it ended."""
        won = [reply for reply in replies.values() if reply is not None and reply.status == 200]
        self.in_doubt |= {title for title, reply in replies.items() if reply is None or reply.is_doubtful}
        assert len(won) <= 1, f"{len(won)} have won"
        before, self.item = self.item, found
        if won:
            assert Item.served(DOCUMENTS, won[0]) == found
            self.in_doubt = set()
        elif found.tag == before.tag:
            # Nobody has won, so nobody has lost to anyone.
            assert [reply for reply in replies.values() if reply is not None and reply.status == 412] == []
            return "undone"
        else:
            assert found.value["title"] in self.in_doubt
            # What proves it may come after it was read.
            self.in_doubt = {found.value["title"]}
        self.titles.append(found.value["title"])
        return "won" if won else "found stored"


def race(service: Service, key: str, item: Item, ended: Counter[str]) -> Contested:
    """Have writers race for several versions of a document."""
    name = item.value["title"]
    callers = [Requests(service, key, random.Random(f"{name}-{n}"), ended) for n in range(FEWER)]
    contested = Contested(item, [name])
    with ThreadPoolExecutor(FEWER) as pool:
        for version in range(RACES):
            tag, titles = contested.item.tag, [f"{name}: {writer} in {version}" for writer in range(FEWER)]

            def write(caller: Requests, title: str, tag: str = tag) -> Reply | None:
                return caller.once("PUT", contested.item.path, {"title": title}, expected=(200, 412), tag=tag)

            replies = dict(zip(titles, pool.map(write, callers, titles), strict=True))
            found = Item.served(DOCUMENTS, callers[0].read(contested.item.path))
            ended[contested.decide(replies, found)] += 1
    assert [fault for caller in callers for fault in caller.faults] == []
    return contested


def history(installation: Installation, item: Item) -> list[str]:
    """Return the titles of all that was ever stored of a document, less what the database has compacted away."""
    path = f"/{installation.prefix}-documents/document:{item.public_id:016d}"
    known = ask(installation.url, path=f"{path}?revs_info=true")[1]["_revs_info"]
    read = (ask(installation.url, path=f"{path}?rev={each['rev']}")[1] for each in reversed(known))
    return [revision["title"] for revision in read if "title" in revision]
