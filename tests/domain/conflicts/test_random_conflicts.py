"""Random edits of one item on two sides: each line is in the merge, or in the conflict that people see.

With DREAMSCRIPT_PROOF_CONFLICTS, as `make prove-merges` has it, this is the proof at full size.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from app.domain.conflicts.arrivals import ARRIVAL_SECONDS
from app.domain.conflicts.conflicts import ConflictView
from app.domain.conflicts.description import describe_view
from app.domain.conflicts.judgement import Judgement
from app.domain.merging.line_diff import split_lines
from app.domain.resources import DOCUMENT
from tests.domain.conflicts.model import Region, sync

pytestmark = pytest.mark.nodatabase

ID = "document:0000000000000001"
CONFLICTS = int(os.environ.get("DREAMSCRIPT_PROOF_CONFLICTS", "150"))
SEED = int(os.environ.get("DREAMSCRIPT_TEST_SEED", "1"))
MAX_LINES = 30
# Documents are moved into these projects. The last one does not exist.
PROJECTS = (1, 2, 3)
MISSING_PROJECT = 3


@dataclass
class Edits:
    """The members of a base and of two versions that were made of it. Every line that is added is new."""

    random: Random
    count: int = 0
    base: dict[str, Any] = field(default_factory=dict)
    versions: list[dict[str, Any]] = field(default_factory=list)

    def make(self) -> None:
        """Make the base and the versions."""
        text = "".join(self._line() for _ in range(self.random.randint(0, MAX_LINES)))
        self.base = {"title": "T", "content": self.random.choice([text, text, text, None]), "project_id": 1}
        self.versions = [self._edited(), self._edited()]

    def lines(self) -> tuple[set[str], set[str]]:
        """Return the lines that must be shown, since no version removed them, and those that every version lacks."""
        old, new = _lines(self.base), [_lines(version) for version in self.versions]
        removed = set[str]().union(*(old - each for each in new))
        return set[str]().union(old, *new) - removed, old.difference(*new)

    def _edited(self) -> dict[str, Any]:
        members = {**self.base, "content": self._edited_text(self.base["content"])}
        if self.random.random() < 0.15:
            members["title"] = f"Title {self.random.randint(1, 3)}"
        if self.random.random() < 0.15:
            members["project_id"] = self.random.choice([*PROJECTS, None])
        return members

    def _edited_text(self, text: str | None) -> str | None:
        """Return a text with up to 3 changes of up to 3 lines; now and then, remove it as a whole."""
        if self.random.random() < 0.08:
            return None
        lines = split_lines(text or "")
        for _ in range(self.random.randint(0, 3)):
            place = self.random.randint(0, len(lines))
            lines[place : place + self.random.choice([0, 0, 1, 3])] = [
                self._line() for _ in range(self.random.choice([0, 1, 3]))
            ]
        return "".join(lines) if lines or text is not None else None

    def _line(self) -> str:
        self.count += 1
        return f"line {self.count}\n"


def _lines(members: dict[str, Any]) -> set[str]:
    return set(split_lines(members["content"] or ""))


def store(edits: Edits) -> tuple[tuple[Region, Region], str]:
    """Store the versions in two regions that replicate; return the regions and the case.

    Without a history, one region does not know the base. In the case of a deletion, one region deletes the item.
    """
    case = edits.random.choices(["with history", "without base", "deleted"], [0.9, 0.05, 0.05])[0]
    existing = set(PROJECTS) - {MISSING_PROJECT}
    regions = Region(keeps_history=case != "without base", projects=existing), Region(projects=existing)
    one, other = regions
    one.edit(ID, **edits.base)
    other.pull(one)
    for region, members in zip(regions, edits.versions, strict=True):
        region.edit(ID, **members)
    if case == "deleted":
        one.delete(ID)
    if case == "without base":
        one.tree.compact()
        one.pull(other, with_history=False)
        other.pull(one)
    else:
        sync(*regions)
    return regions, case


def shown(judgement: Judgement) -> dict[str, Any]:
    """Return the body of `GET /documents/1/conflicts` for a key without limits."""
    state = judgement.reason, judgement.is_pending
    principals = tuple(version.item.updated_by for version in judgement.versions)
    view = ConflictView(DOCUMENT, 1, *state, judgement.versions, principals, judgement.base, judgement.merge)
    body: dict[str, Any] = json.loads(json.dumps(describe_view(view)))
    return body


def public(members: dict[str, Any]) -> dict[str, Any]:
    """Return a version as clients read it, without the members that are absent."""
    return {"id": 1, **{name: value for name, value in members.items() if value is not None}}


def merged_lines(content: dict[str, Any]) -> set[str]:
    """Return the lines in the merge of one member: of its value, or of its hunks."""
    if content["state"] == "clean":
        return set(split_lines(content.get("value") or ""))
    texts = (
        text
        for hunk in content["hunks"]
        for text in ([hunk["merged"]] if "merged" in hunk else hunk["versions"].values())
    )
    return {line for text in texts for line in split_lines(text or "")}


def check_shown(body: dict[str, Any], edits: Edits) -> None:
    """Check that a conflict shows both versions as they were written, and each of their changes in the merge."""
    needed, _ = edits.lines()
    written = [public(version) for version in edits.versions]
    assert sorted(map(str, (version["value"] for version in body["versions"]))) == sorted(map(str, written))
    if body["reason"] == "no_base":
        assert body["merge"] == {}
        return
    assert merged_lines(body["merge"]["content"]) >= needed
    for name in DOCUMENT.members:
        changed = {version[name] for version in edits.versions} - {edits.base[name]}
        outcome = body["merge"][name]
        if len(changed) < 2:
            expected = next(iter(changed), edits.base[name])
            assert (outcome["state"], outcome.get("value")) == ("clean", expected)
        elif name != "content":
            [hunk] = outcome["hunks"]
            assert set(hunk["versions"].values()) == changed


def check_merged(members: dict[str, Any], edits: Edits, judgement: Judgement) -> None:
    """Check that a merge has each line that it must have, none that was removed, and every change of a member."""
    needed, removed = edits.lines()
    lines = set(split_lines(members.get("content") or ""))
    one_sided = {line for version in edits.versions for line in _lines(edits.base) - _lines(version)}
    assert needed <= lines, (needed - lines, judgement)
    assert not lines & (removed | one_sided)
    for name in DOCUMENT.members:
        if name != "content":
            [value] = {version[name] for version in edits.versions} - {edits.base[name]} or {edits.base[name]}
            assert members.get(name) == value


def check_end(edits: Edits) -> str:
    """Store random edits, resolve in both regions, check the end, and return it."""
    (one, other), case = store(edits)
    one.resolve(ID)
    one.seconds = ARRIVAL_SECONDS
    judgement = one.judge(ID)
    if case == "deleted":
        assert shown(judgement)["versions"][0]["value"] == public(edits.versions[1])
        return "edit against deletion"
    if len(judgement.revisions) > 1:
        check_shown(shown(judgement), edits)
        return str(judgement.reason)
    check_merged(dict(one.members(ID)), edits, judgement)
    other.resolve(ID)
    assert one.live(ID) == other.live(ID)
    return "merged"


@pytest.mark.timeout(3600)
def test_each_line_is_in_the_merge_or_in_the_conflict() -> None:
    random = Random(SEED)
    ends: Counter[str] = Counter()
    for _ in range(CONFLICTS):
        edits = Edits(random)
        edits.make()
        ends[check_end(edits)] += 1
    print(f"{CONFLICTS} conflicts: {dict(ends)}")  # noqa: T201
    assert ends.keys() == {"merged", "clash", "orphan", "no_base", "edit against deletion"}
