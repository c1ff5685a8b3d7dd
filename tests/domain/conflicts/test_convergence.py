"""Random edits in regions that replicate now and then: all end with the same revision, and no line is lost.

Resolvers store one merge for each set of leaves that has to be merged, and one tombstone on each leaf.

With DREAMSCRIPT_PROOF_ROUNDS_IN_MEMORY, as `make prove-convergence` has it, this is a proof.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest

from app.domain.conflicts.judgement import Judgement
from app.domain.conflicts.revisions import MERGED_BY
from app.domain.merging.line_diff import split_lines
from app.store.items import MERGED_FROM
from tests.domain.conflicts.model import Region

pytestmark = pytest.mark.nodatabase

ID = "document:0000000000000001"
ROUNDS = int(os.environ.get("DREAMSCRIPT_PROOF_ROUNDS_IN_MEMORY", "20"))
SEED = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))
# Looks at an item until nothing is written any more; a few would do.
MAX_LOOKS = 20


class Lines:
    """The lines that edits add and remove. Every line that is added is new."""

    def __init__(self, random: Random) -> None:
        self._random, self._count = random, 0
        self.added: set[str] = set()
        self.removed: set[str] = set()

    def new(self) -> str:
        self._count += 1
        self.added.add(f"line {self._count}\n")
        return f"line {self._count}\n"

    def edited(self, text: str) -> str:
        """Return a text with one or two changes."""
        lines = split_lines(text)
        for _ in range(self._random.randint(1, 2)):
            place = self._random.randint(0, len(lines))
            end = min(len(lines), place + self._random.choice([0, 0, 1, 2]))
            self.removed.update(lines[place:end])
            lines[place:end] = [self.new() for _ in range(self._random.choice([0, 1, 2]))]
        return "".join(lines)


def edit(region: Region, random: Random, lines: Lines) -> None:
    """Edit the current version as a client does: a text, and now and then the title or the project."""
    members = dict(region.members(ID))
    members["content"] = lines.edited(members.get("content", ""))
    if random.random() < 0.04:
        members["title"] = f"Title {random.randint(1, 3)}"
    if random.random() < 0.04:
        members["project_id"] = random.randint(1, 3)
    region.edit(ID, **members)


class Resolvers:
    """The resolvers of all regions, and the different sets of live leaves that they had to reduce."""

    def __init__(self) -> None:
        self.needed: set[frozenset[str]] = set()

    def run(self, region: Region) -> None:
        live = frozenset(region.live(ID))
        if len(live) > 1:
            self.needed.add(live)
        region.resolve(ID)

    def check_writes(self, regions: list[Region]) -> int:
        """Check that no set of leaves was merged twice, and no leaf has two tombstones; return the number of merges."""
        written = {revision: document for region in regions for revision, document in region.tree.written.items()}
        by_resolvers = {name: value for name, value in written.items() if value.get("updated_by") == MERGED_BY}
        merged = [frozenset(value[MERGED_FROM]) for value in by_resolvers.values() if not value.get("_deleted")]
        deleted = [regions[0].tree.below[ID][name] for name, value in by_resolvers.items() if value.get("_deleted")]
        assert len(set(merged)) == len(merged) <= len(self.needed)
        assert len(set(deleted)) == len(deleted)
        return len(merged)


def replicate_at_random(regions: list[Region], resolvers: Resolvers, random: Random) -> None:
    """Replicate and resolve a few times in random order; the history may come later."""
    for _ in range(4 * len(regions) ** 2):
        region, source = random.sample(regions, 2)
        region.pull(source, with_history=random.random() < 0.9)
        if random.random() < 0.7:
            resolvers.run(region)
    for region in regions:
        region.seconds += 60


def assert_alike(regions: list[Region], resolvers: Resolvers) -> Judgement:
    """Check that all regions have the same live leaves, and that another look writes nothing."""
    for _ in range(MAX_LOOKS):
        writes = sum(region.tree.writes for region in regions)
        for region in regions:
            for source in regions:
                region.pull(source)
            resolvers.run(region)
        if sum(region.tree.writes for region in regions) == writes:
            break
    else:
        pytest.fail("the regions go on writing")
    assert len({region.live(ID) for region in regions}) == 1
    return regions[0].judge(ID)


def shown_lines(judgement: Judgement) -> set[str]:
    """Return the lines that people see: of the item, or of the versions of its conflict."""
    texts = [leaf.item.fields.get("content", "") for leaf in judgement.leaves]
    return {line for text in texts for line in split_lines(text)}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("count", "is_whole"), [(2, True), (3, True), (2, False)])
def test_regions_converge_and_lose_no_line(count: int, is_whole: bool) -> None:
    """If ``is_whole`` is False, the regions have no history, and one compacts what it can."""
    random = Random(SEED)
    ends: Counter[str] = Counter()
    merges = 0
    for _ in range(ROUNDS):
        regions = [Region(keeps_history=is_whole) for _ in range(count)]
        lines, resolvers = Lines(random), Resolvers()
        regions[0].edit(ID, title="T", content=lines.edited("".join(lines.new() for _ in range(40))), project_id=1)
        for region in regions[1:]:
            region.pull(regions[0])
        for _ in range(random.randint(1, 4)):
            for region in regions:
                for _ in range(random.randint(0, 3)):
                    edit(region, random, lines)
            if random.random() < 0.3:
                random.choice(regions).tree.compact()
            replicate_at_random(regions, resolvers, random)
        judgement = assert_alike(regions, resolvers)
        ends[judgement.reason or "merged"] += 1
        missing = lines.added - lines.removed - shown_lines(judgement)
        assert not missing, (missing, judgement)
        merges += resolvers.check_writes(regions)
    print(f"{count} regions, history: {is_whole}, {ROUNDS} documents: {dict(ends)}, {merges} merges")  # noqa: T201
    assert ends["merged"]
