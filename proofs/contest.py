"""Concurrent conditional writes to one document during faults."""

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

# Fewer writers than without faults, since each has to resolve its unknown outcome.
FEWER, RACES = 8, 3


@dataclass
class Contested:
    """A document with concurrent writers: its last version, and the titles so far."""

    item: Item
    titles: list[str]
    # Titles of writes with an unknown outcome.
    in_doubt: set[str] = field(default_factory=set)

    def decide(self, replies: dict[str, Reply | None], stored: Item) -> str:
        """Compare the answers of one race, by title, with the stored document. Returns the kind of result."""
        won = [reply for reply in replies.values() if reply is not None and reply.status == 200]
        self.in_doubt |= {title for title, reply in replies.items() if reply is None or reply.is_doubtful}
        assert len(won) <= 1, f"{len(won)} have won"
        before, self.item = self.item, stored
        if won:
            assert Item.served(DOCUMENTS, won[0]) == stored
            self.in_doubt = set()
        elif stored.tag == before.tag:
            # Without a winner nobody may be refused for a conflict.
            assert [reply for reply in replies.values() if reply is not None and is_lost(reply)] == []
            return "undone"
        else:
            assert stored.value["title"] in self.in_doubt
            # Its confirming write may arrive after the read.
            self.in_doubt = {stored.value["title"]}
        self.titles.append(stored.value["title"])
        return "won" if won else "found stored"


def is_lost(reply: Reply) -> bool:
    """Return whether a write was refused because another one came first."""
    return reply.status == 412 or (reply.status == 409 and not reply.is_retryable and not reply.is_unknown)


def race(service: Service, key: str, item: Item, ended: Counter[str]) -> Contested:
    """Let writers race for several versions of a document."""
    name = item.value["title"]
    callers = [Requests(service, key, random.Random(f"{name}-{n}"), ended) for n in range(FEWER)]
    contested = Contested(item, [name])
    with ThreadPoolExecutor(FEWER) as pool:
        for version in range(RACES):
            tag, titles = contested.item.tag, [f"{name}: {writer} in {version}" for writer in range(FEWER)]

            def write(caller: Requests, title: str, tag: str = tag) -> Reply | None:
                # A lost race is a 409 if there is no time to find out the current tag.
                return caller.once("PUT", contested.item.path, {"title": title}, expected=(200, 409, 412), tag=tag)

            replies = dict(zip(titles, pool.map(write, callers, titles), strict=True))
            stored = Item.served(DOCUMENTS, callers[0].read(contested.item.path))
            ended[contested.decide(replies, stored)] += 1
    assert [fault for caller in callers for fault in caller.faults] == []
    return contested


def history(installation: Installation, item: Item) -> list[str]:
    """Return the titles of all revisions of a document that are not compacted."""
    path = f"/{installation.prefix}-documents/document:{item.public_id:016d}"
    known = ask(installation.url, path=f"{path}?revs_info=true")[1]["_revs_info"]
    read = (ask(installation.url, path=f"{path}?rev={each['rev']}")[1] for each in reversed(known))
    return [revision["title"] for revision in read if "title" in revision]
