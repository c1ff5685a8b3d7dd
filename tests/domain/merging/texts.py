"""Texts to merge, and the checks that every merge must pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, permutations

from app.domain.merging.line_diff import diff, split_lines
from app.domain.merging.text_merge import Clash, Clean, merge_texts


def check_merge(base: str, versions: Sequence[str]) -> Clean | Clash:
    """Merge, and check everything that a merge promises for these texts; return its outcome."""
    outcome = merge_texts(base, versions)
    assert merge_texts(base, versions[::-1]) == swapped(outcome)
    if isinstance(outcome, Clash):
        check_hunks(base, versions, outcome)
    else:
        check_result(base, versions, outcome.value)
    return outcome


def swapped(outcome: Clean | Clash) -> Clean | Clash:
    """Return an outcome as it must be if the versions are given in the opposite order."""
    if isinstance(outcome, Clean):
        return outcome
    return Clash(tuple(type(hunk)(hunk.base, hunk.versions[::-1], hunk.merged) for hunk in outcome.hunks))


def check_hunks(base: str, versions: Sequence[str], clash: Clash) -> None:
    """Check that the hunks cover every text, and that a merged one has each line that a version added."""
    assert "".join(hunk.base for hunk in clash.hunks) == base
    for place, version in enumerate(versions):
        assert "".join(hunk.versions[place] for hunk in clash.hunks) == version
    assert any(hunk.merged is None for hunk in clash.hunks)
    assert all((one.merged is None) != (other.merged is None) for one, other in pairwise(clash.hunks))
    for hunk in clash.hunks:
        if hunk.merged is None:
            assert len({version for version in hunk.versions if version != hunk.base}) > 1
        else:
            new = {line for version in hunk.versions for line in split_lines(version)} - set(split_lines(hunk.base))
            assert new <= set(split_lines(hunk.merged))


def check_result(base: str, versions: Sequence[str], merged: str) -> None:
    """Check that a clean result has every change of each version and no other, and is the end of all merges."""
    old, new = split_lines(base), split_lines(merged)
    parsed = [split_lines(version) for version in versions]
    assert set(diff(old, new)) == {change for version in parsed for change in diff(old, version)}
    assert set().union(*parsed) - set(old) <= set(new)
    # Two lines that no version had side by side could become one, such as "a" without an end and "b".
    assert set(pairwise(new)) <= {pair for version in parsed for pair in pairwise(version)}
    for version in versions:
        assert merge_texts(base, [merged, version]) == Clean(merged) == merge_texts(base, [version, merged])


def check_orders(base: str, versions: Sequence[str]) -> int:
    """Check that each order of merging one version after the other gives the same; return how many orders are clean."""
    folds = [fold(base, order) for order in permutations(versions)]
    clean = [outcome for outcome in folds if outcome is not None]
    assert all(merge_texts(base, versions) == Clean(merged) for merged in clean)
    return len(clean)


def fold(base: str, versions: Sequence[str]) -> str | None:
    """Merge one version after the other; return None at the first clash."""
    merged = base
    for version in versions:
        outcome = merge_texts(base, [merged, version])
        if isinstance(outcome, Clash):
            return None
        merged = outcome.value
    return merged
