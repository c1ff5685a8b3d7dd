"""Regions on CouchDB that edit the same documents, replicate and resolve in random order."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from random import Random
from typing import Any
from unittest.mock import patch

from app.domain.conflicts.arrivals import Arrivals
from app.domain.conflicts.conflicts import Resolution
from app.domain.conflicts.judgement import Judgement
from app.domain.merging.line_diff import split_lines
from app.domain.resources import DOCUMENT
from app.errors import Conflict, Unavailable
from app.store.items import ItemWrite
from app.store.leaves import Leaves
from tests.domain.conflicts.database_region import ACCESS, DatabaseRegion

# Looks at all regions until they are alike; a few would do.
MAX_LOOKS = 20
BASE_LINES = 40


class Lines:
    """The lines that edits of one document add and remove. Every line that is added is new."""

    def __init__(self, random: Random) -> None:
        self._random, self._count = random, 0
        self.added: set[str] = set()
        self.removed: set[str] = set()

    def first(self) -> str:
        return "".join(self._new() for _ in range(BASE_LINES))

    def edited(self, text: str) -> str:
        """Return a text with one change."""
        lines = split_lines(text)
        place = self._random.randint(0, len(lines))
        end = min(len(lines), place + self._random.choice([0, 0, 0, 1]))
        self.removed.update(lines[place:end])
        lines[place:end] = [self._new() for _ in range(self._random.choice([1, 1, 2]))]
        return "".join(lines)

    def resolved(self, versions: Sequence[str], value: str) -> None:
        """Note that people chose ``value``: the other lines are removed."""
        for version in versions:
            self.removed.update(set(split_lines(version)) - set(split_lines(value)))

    def _new(self) -> str:
        self._count += 1
        self.added.add(f"line {self._count}\n")
        return f"line {self._count}\n"


class Regions:
    """Regions that replicate along ``links``, each from the first to the second, and the documents in them."""

    def __init__(self, regions: Sequence[DatabaseRegion], links: Sequence[tuple[int, int]], random: Random) -> None:
        self.regions, self._random = regions, random
        self._links = [(regions[source], regions[target]) for source, target in links]
        self.lines: dict[int, Lines] = {}
        self.edits = 0

    def create(self, count: int) -> None:
        """Create documents, and replicate them to all regions."""
        for _ in range(count):
            lines = Lines(self._random)
            self.lines[self.regions[0].create(title="T", content=lines.first())] = lines
        for _ in self.regions:
            self._pull_all()

    def edit_at_random(self, most: int) -> None:
        """Edit up to ``most`` times in each region, with conflicts open or not."""
        for region in self.regions:
            for _ in range(self._random.randint(0, most)):
                public_id = self._random.choice(list(self.lines))
                content = region.item(public_id).fields["content"]
                members: dict[str, Any] = {"content": self.lines[public_id].edited(content)}
                if self._random.random() < 0.03:
                    members["title"] = f"Title {self._random.randint(1, 3)}"
                region.edit(public_id, **members)
                self.edits += 1

    def heal_at_random(self) -> None:
        """Replicate and resolve in random order, sometimes with a compaction, a cut merge or a leaf in the middle."""
        steps = [self._pull_one, self._pull_one, self._resolve_one, self._resolve_one]
        if self._random.random() < 0.2:
            steps.append(self._compact_one)
        self._random.shuffle(steps)
        for step in steps:
            step()

    def resolve_clashes(self) -> None:
        """Let people in random regions resolve some of the open conflicts, in several regions differently."""
        for public_id, lines in self.lines.items():
            for region in self.regions:
                judgement = region.judge(public_id)
                if judgement.reason and self._random.random() < 0.5:
                    self._resolve_clash(region, public_id, judgement, lines)

    def assert_alike(self) -> Counter[str]:
        """Check that all regions end alike and lose no line; return how many documents end how.

        Versions that have not arrived by then do not exist any more.
        """
        with patch.object(Arrivals, "is_expected", return_value=False):
            self._wait_until_alike()
            before = [region.sequences() for region in self.regions]
            for region in self.regions:
                region.resolve()
            assert [region.sequences() for region in self.regions] == before
            return Counter(self._end(public_id, lines) for public_id, lines in self.lines.items())

    def _end(self, public_id: int, lines: Lines) -> str:
        """Check that a document is alike in all regions and has lost no line; return how it ends."""
        live = {region.live(public_id) for region in self.regions}
        assert len(live) == 1, live
        judgement = self.regions[0].judge(public_id)
        assert not judgement.is_pending, judgement
        texts = [leaf.item.fields["content"] for leaf in judgement.leaves]
        missing = lines.added - lines.removed - {line for text in texts for line in split_lines(text)}
        assert not missing, (public_id, missing, judgement)
        return judgement.reason or "merged"

    def assert_quiet(self, seconds: float) -> None:
        """Check that no region writes during this time, or if it is 0, in one more run of everything."""
        before, end = [region.sequences() for region in self.regions], time.monotonic() + seconds
        while True:
            for region in self.regions:
                region.capture()
                region.run_resolver()
            self._pull_all()
            if time.monotonic() >= end:
                break
            time.sleep(1)
        assert [region.sequences() for region in self.regions] == before

    def _wait_until_alike(self) -> None:
        """Replicate and resolve until nothing is written any more."""
        for _ in range(MAX_LOOKS):
            before = [region.sequences() for region in self.regions]
            for region in self.regions:
                region.capture()
            self._pull_all()
            for region in self.regions:
                region.resolve()
            if [region.sequences() for region in self.regions] == before:
                return
        raise AssertionError("the regions go on writing")

    def _resolve_clash(self, region: DatabaseRegion, public_id: int, judgement: Judgement, lines: Lines) -> None:
        version = self._random.choice(judgement.versions)
        resolution = Resolution(frozenset(judgement.revisions), keep=version.revision)
        with suppress(Conflict):
            region.services.conflicts.resolve(ACCESS, DOCUMENT, public_id, resolution)
            texts = [leaf.item.fields["content"] for leaf in judgement.leaves]
            lines.resolved(texts, version.item.fields["content"])

    def _pull_all(self) -> None:
        for source, target in self._links:
            target.pull(source)

    def _pull_one(self) -> None:
        source, target = self._random.choice(self._links)
        if self._random.random() < 0.8:
            source.capture()
        target.pull(source)

    def _compact_one(self) -> None:
        region = self._random.choice(self.regions)
        if self._random.random() < 0.8:
            region.capture()
        region.compact()

    def _resolve_one(self) -> None:
        region = self._random.choice(self.regions)
        fault = self._random.random()
        if fault < 0.2:
            with _cut_off():
                region.run_resolver()
        elif fault < 0.4:
            with _interrupted(self._pull_one):
                region.run_resolver()
        else:
            region.run_resolver()


@contextmanager
def _cut_off() -> Iterator[None]:
    """Store merges, and let the database be gone when their tombstones are to be stored."""
    store = Leaves.store

    def store_merges(leaves: Leaves, writes: Sequence[ItemWrite]) -> None:
        if any(write.deletes for write in writes):
            raise Unavailable
        store(leaves, writes)

    with patch.object(Leaves, "store", store_merges):
        yield


@contextmanager
def _interrupted(step: Any) -> Iterator[None]:
    """Let something happen before each write of a resolver, up to three times."""
    store, times = Leaves.store, [step] * 3

    def store_after(leaves: Leaves, writes: Sequence[ItemWrite]) -> None:
        if times:
            times.pop()()
        store(leaves, writes)

    with patch.object(Leaves, "store", store_after):
        yield
