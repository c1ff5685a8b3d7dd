"""A follower of the proofs stores its items before its checkpoint, however it is set back."""

from __future__ import annotations

import random

import pytest

from proofs.followers import Follower

pytestmark = pytest.mark.nodatabase

ACTS = 500


class Counted(Follower):
    """Follow a feed that has one more document at each act, and an answer of one to three documents."""

    def follow(self) -> None:
        """Take the next documents."""
        first = int(self.copy.since or 0) + 1
        last = first + self.chance.randint(0, 2)
        changes = [{"type": "document", "id": number, "value": {}} for number in range(first, last + 1)]
        self.copy.take({"changes": changes, "next": str(last), "caught_up": True})


@pytest.mark.parametrize("seed", range(5))
def test_a_follower_has_every_item_before_its_checkpoint(seed: int) -> None:
    follower = Counted("counted", [], "", {}, random.Random(seed))
    for _ in range(ACTS):
        follower.act()
        known = {("document", number) for number in range(1, int(follower.copy.since or 0) + 1)}
        assert known <= follower.copy.items.keys()
    assert follower.answered["killed"] > ACTS / 20
