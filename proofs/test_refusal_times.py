"""The comparison of times in `make prove-keys` detects differences, and only differences."""

from __future__ import annotations

import random

import pytest

from proofs.refusal_times import CERTAIN, compare, interval

pytestmark = pytest.mark.nodatabase


def test_it_is_the_test_of_mann_and_whitney() -> None:
    """By hand: of the 12 pairs the first is higher in 3 and even in 1, so U = 3.5; two of the 7 values are tied."""
    z, share = compare([1, 2, 5], [2, 3, 4, 6])
    assert share == pytest.approx(3.5 / 12)
    assert z == pytest.approx((3.5 - 6) / (12 / 12 * (8 - 6 / 42)) ** 0.5)


def test_equal_and_different_samples_are_distinguished() -> None:
    draw = random.Random(1)
    one, same, slower = ([draw.lognormvariate(mean, 0.3) for _ in range(2_000)] for mean in (1, 1, 1.05))
    assert abs(compare(one, same).z) < CERTAIN < abs(compare(one, slower).z)
    low, high = interval(one, same)
    assert low < 0 < high
    assert interval(slower, one)[0] > 0
