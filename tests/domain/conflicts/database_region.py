"""A region in databases of its own: edits through the service, its resolver, and replication from another region."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event
from typing import Any
from unittest.mock import patch

from app.domain.access import SCOPES, Access
from app.domain.conflicts import resolver
from app.domain.conflicts.judgement import Judgement
from app.domain.history import capture
from app.domain.resources import DOCUMENT, PROJECT, ResourceType
from app.local_couchdb.wire import request
from app.metric_definitions import Metric
from app.settings import Settings
from app.store.items import OWN, Condition, StoredItem
from app.store.leaves import Leaf
from app.wiring import build_services
from tests.api.conftest import deployed_settings
from tests.replication import Replication, replicate

ACCESS = Access(1, "someone", frozenset(SCOPES))
ALL_DATABASES = ("documents", "history")
# Runs of the resolver until nothing is written any more; a few would do.
MAX_RUNS = 50
# Seconds for a request to the database: a machine may be busy, and these tests are about outcomes.
DEADLINE_SECONDS = 60.0


@contextmanager
def two_regions(url: str, *prefixes: str) -> Iterator[tuple[DatabaseRegion, DatabaseRegion]]:
    """Provide two regions in the databases with two prefixes on one server."""
    one, other = (DatabaseRegion(url, prefix, number) for number, prefix in enumerate(prefixes))
    with closing(one), closing(other):
        yield one, other


class DatabaseRegion:
    """The region ``number`` of ``count``, in the databases with ``prefix`` on the server at ``url``."""

    def __init__(self, url: str, prefix: str, number: int = 0, count: int = 2) -> None:
        self.settings: Settings = deployed_settings(
            url, prefix, region=number, regions=count, deadline=DEADLINE_SECONDS
        )
        self.url, self.prefix = url, prefix
        self._replications: dict[str, Replication] = {}
        self.services = build_services(self.settings)
        self.leaves = {each: self.services.store.leaves(each.database) for each in (DOCUMENT, PROJECT)}

    def close(self) -> None:
        self.services.close()

    def create(self, **members: Any) -> int:
        return self.services.documents.create(ACCESS, members).public_id

    def create_project(self, name: str) -> int:
        return self.services.projects.create(ACCESS, {"name": name}).public_id

    def edit(self, public_id: int, **members: Any) -> None:
        """Change members of the current version; a conflict stays open."""
        self.services.documents.patch(ACCESS, public_id, members, self._current(public_id))

    def delete(self, public_id: int) -> None:
        """Delete an item, with all versions of a conflict."""
        self.services.documents.delete(ACCESS, public_id, self._current(public_id))

    def _current(self, public_id: int) -> Condition:
        return Condition(frozenset({self.item(public_id).revision}))

    def item(self, public_id: int, resource_type: ResourceType = DOCUMENT) -> StoredItem:
        """Return the current revision of an item."""
        leaves = self.leaves[resource_type].read([resource_type.doc_id(public_id)])
        return leaves[resource_type.doc_id(public_id)][0].item

    def live(self, public_id: int, resource_type: ResourceType = DOCUMENT) -> tuple[str, ...]:
        doc_id = resource_type.doc_id(public_id)
        return self.leaves[resource_type].revisions([doc_id]).get(doc_id, ())

    def every_leaf(self, public_id: int) -> dict[str, Leaf]:
        return {leaf.revision: leaf for leaf in self.leaves[DOCUMENT].read_all(DOCUMENT.doc_id(public_id))}

    def resolve(self) -> None:
        """Run the resolver until it has nothing to do, as a process does that has just got its lease."""
        self.services.resolver.stand_by()
        for _ in range(MAX_RUNS):
            before = self.sequences()
            self.run_resolver()
            if self.sequences() == before:
                return
        raise AssertionError("the resolver goes on writing")

    def run_resolver(self) -> None:
        """Run the resolver once, for as long as it has something to do."""
        with patch.object(resolver, "MAX_RUN_SECONDS", math.inf):
            self.services.resolver.run(Event())

    def judge(self, public_id: int) -> Judgement:
        """Return the judgement of a document."""
        doc_id = DOCUMENT.doc_id(public_id)
        return self.services.judge.judge_many(DOCUMENT, [doc_id])[doc_id]

    def metric(self, metric: Metric, label: str) -> float:
        """Return the number of the series with this label."""
        samples = next(samples for each, samples in self.services.metrics.samples() if each is metric)
        return next(sample.numbers[0] for sample in samples if sample.labels == (label,))

    def capture(self) -> None:
        """Capture all versions of items."""
        assert self.services.capture
        with patch.object(capture, "MAX_RUN_SECONDS", math.inf):
            self.services.capture.run(Event())

    def sequences(self) -> list[object]:
        """Return the present places of the feeds of all databases, which change with each write."""
        return [self.services.store[name].sequence() for name in ALL_DATABASES]

    def copy_from(self, source: DatabaseRegion, public_ids: Sequence[int]) -> None:
        """Store all leaves of documents of another region, as replication does."""
        for doc_id in map(DOCUMENT.doc_id, public_ids):
            leaves = source.leaves[DOCUMENT].read_all(doc_id)
            branches = [(document(leaf), leaf.lineage) for leaf in leaves]
            replicate(self.url, f"{self.prefix}-documents", *branches)

    def pull(self, source: DatabaseRegion, databases: Sequence[str] = ALL_DATABASES) -> None:
        """Replicate databases of another region: by CouchDB if it is on another server, which takes longer."""
        for name in databases:
            url, target = f"{source.url}/{source.prefix}-{name}", f"{self.url}/{self.prefix}-{name}"
            if source.url == self.url:
                self._replications.setdefault(url, Replication(url, target)).run()
                continue
            status, body = request(self.url, "POST", "/_replicate", {"source": url, "target": target}, timeout=120)
            assert status == 200, body
            assert not (body.get("history") or [{}])[0].get("doc_write_failures"), body

    def compact(self) -> None:
        """Remove the bodies of the revisions below the leaves, and wait until that is done."""
        status, _ = request(self.url, "POST", f"/{self.prefix}-documents/_compact", {})
        assert status == 202
        while request(self.url, "GET", f"/{self.prefix}-documents")[1]["compact_running"]:
            pass


def document(leaf: Leaf) -> dict[str, Any]:
    """Return a leaf as CouchDB stores it."""
    deleted = {"_deleted": True} if leaf.item.is_deleted else {}
    nonce = {} if leaf.item.nonce is None else {"nonce": leaf.item.nonce}
    fields = {name: it for name, it in leaf.item.fields.items() if name not in OWN}
    return {"_id": leaf.item.doc_id, **fields, **nonce, **deleted}
